"""The keys that the providers have given their bodies, so that places can name them.

Owns the list: fields of the official SDKs' types, JSON Schema's keywords, and what compatible servers add. Any other key
may be a caller's own word, such as a customer's name: it is judged as a text, and stands in places as ``*``.
"""

from __future__ import annotations

KNOWN_KEYS = frozenset(
    """
    $anchor $comment $defs $dynamicAnchor $dynamicRef $id $ref $schema $vocabulary accepted_prediction_tokens
    access_programs access_type account_status acknowledged_safety_checks action actions active adaptive
    additionalProperties advisor after allOf allow_mcp_servers allow_package_managers allowed_callers
    allowed_domains allowed_fallback_models allowed_hosts allowed_tools always amount annotation annotation_index
    annotations anyOf applied_edits approval_request_id approve approximate apt archived_at arguments async async_
    attributes audio audio_tokens authorization authorization_token background base64 batch best_of betas
    between_tools bill_to billing_policy blob block block_binding blocked_domains budget_tokens button bytes
    cache_control cache_creation cache_creation_input_tokens cache_miss_reason cache_missed_input_tokens
    cache_missed_tokens cache_read_input_tokens cache_write_tokens cache_write_tokens_details cached_content
    cached_image_tokens cached_text_tokens cached_tokens cached_tokens_details caching call_id caller caller_id
    capabilities caption cargo carry categories category category_applied_input_types category_scores
    chat_template_kwargs checkout choices citation citations cited_text city clear_at clear_at_least
    clear_thinking_20251015 clear_tool_inputs clear_tool_uses_20250919 cleared_input_tokens cleared_thinking_turns
    cleared_tool_uses client_tool_results close_tab code code_execution command command_index commands
    compact_20260112 compact_threshold compaction comparison_response_id comparison_reusable_tokens completed_at
    completion_tokens completion_tokens_details complexity configs connector_id const container container_id
    contains content contentEncoding contentMediaType contentSchema content_block content_index content_parts
    context context_compression context_management conversation coordinate country created created_at
    created_at_gt created_at_lt created_by currency cursor_position custom cyber data data_retention default
    default_config defer_loading definition definitions deleted delta dependentRequired dependentSchemas
    deprecated_at depth description detail detailed_explanation details diagnostics diff dimensions
    disable_parallel_tool_use disabled discriminator display display_height display_height_px display_name
    display_number display_width display_width_px document_ids document_index document_title domain domain_secrets
    double_click download_id downloadable duration eager_input_streaming echo edits effort efs else email_hash
    embedding embedding_weight enable_thinking enable_zoom enabled encoding_format encrypted_content
    encrypted_index encrypted_stdout end_block_index end_char_index end_index end_page_number end_turn ended_at
    enforcement_actions enforcement_status entity_type enum enumDescriptions env environment
    ephemeral_1h_input_tokens ephemeral_5m_input_tokens error error_code error_message error_type estimated_tokens
    event event_id example examples exclude_tools exclusiveMaximum exclusiveMinimum execution execution_identity
    exit_code expires_at expires_in_seconds explanation expression external_id external_user_details
    external_user_onboarded_at external_web_access extra_content fallback_credit fallback_credit_token
    fallback_has_prefill_claim fallback_models fallbacks features fetched file file_data file_id file_ids
    file_text file_type file_upload file_url filename filter filters find fingerprint finish_reason first_id
    flagged form_input format frame_count frame_duration_ms frequency_penalty from from_ full function
    function_call functions gem generate generate_summary get_page_text go google grammar guided_json harassment
    harassment_threatening has_more hate hate_threatening headers high hold_key hover human_review hybrid_search
    id if illicit illicit_violent image image_gen image_input image_tokens image_url include include_archived
    include_obfuscation include_usage incomplete_details index inference_geo input input_audio input_examples
    input_fidelity input_image_mask input_schema input_tokens input_tokens_details input_transformations
    input_video inputs insert_line insert_text instructions is_error is_file_update item item_id items iteration
    iterations javascript_exec json_schema keep key keys kind last_id last_run_at left_click left_click_drag
    left_mouse_down left_mouse_up lifecycle limit line lines list_tabs logit_bias logprob logprobs logs low
    mapping max maxContains maxItems maxLength maxProperties max_characters max_completion_tokens
    max_content_tokens max_input_tokens max_list_cost max_num_results max_output_length max_output_tokens
    max_tokens max_tool_calls max_uses maximum mcp_server_name mcp_servers media_type medium memory_limit
    memory_store_id message messages metadata middle_click mimeType mime_type minContains minItems minLength
    minProperties min_p minimum misalignment modalities mode model models moderation moderation_details
    moderation_stage modifiers mount_path mouse_move multiagent multipleOf n name name_hash namespace navigate
    network_policy networking never new_lines new_path new_start new_str new_tab not note notes npm nullable
    num_lines num_requests obfuscation object old_lines old_path old_start old_str onboarded_at oneOf opened_at
    operation order original_input_tokens outcome outcome_id output output_behavior output_compression
    output_config output_format output_index output_schema output_tokens output_tokens_details outputs
    oversized_image packages page page_age parallel_tool_calls param parameters parsed parsed_arguments
    parsed_output part partial_image_b64 partial_image_index partial_images partial_json path paths pattern
    patternProperties pause_after_compaction pdf_input pending_safety_checks permission_policy personality phase
    pip plugins policy prediction prefill prefixItems prefix_mismatch_behavior presence_penalty
    previous_message_id previous_response_id prewarm processed_at programs prompt prompt_cache_breakpoint
    prompt_cache_diagnostics prompt_cache_key prompt_cache_options prompt_cache_retention prompt_tokens
    prompt_tokens_details properties propertyName propertyNames provider providers quality queries query ranker
    ranking_options readOnly read_console read_network read_only read_page reason reasoning reasoning_content
    reasoning_details reasoning_effort reasoning_summary reasoning_text reasoning_tokens recommended_model ref
    reference_id refusal region rejected_prediction_tokens remaining remove_to_redeem repeat repetition_penalty
    request_id require_approval required required_input requirements response response_format response_inclusion
    result results retires_at retrieved_at return_code review_target revised_prompt right_click role role_arn
    route safety_identifier safety_settings scheduled_at schema schema_ scope score score_threshold screenshot
    scroll scroll_amount scroll_direction scroll_to scroll_x scroll_y search_content_types search_context_size
    search_result search_result_index search_results seed self-harm self_harm self_harm_instructions
    self_harm_intent sequence_number server_description server_label server_name server_tool_results
    server_tool_use server_tools server_url service_tier session_id session_thread_id sexual sexual_minors sha
    signature size size_bytes skills source sources speed start_block_index start_char_index start_coordinate
    start_index start_line start_page_number starting_after state_changes status statuses stderr stdout steer stop
    stop_details stop_reason stop_sequence stop_sequences store stream stream_id stream_options strict
    structured_outputs subagents suffix summarize summary summary_index supported svg svg_usage switch_tab syntax
    system system_fingerprint tab_id tabs target task_budget temperature text text_offset text_tokens text_weight
    then thinking thinking_tokens thought_signature thread tiers timeout_ms timezone title to token token_logprobs
    tokens tool tool_call_id tool_calls tool_changes tool_choice tool_configuration tool_id tool_name tool_names
    tool_references tool_usage tool_use_id tools toolset_name top_a top_k top_logprobs top_p total total_lines
    total_tokens transcript transformations transforms trigger triple_click truncation trust_grants ttl
    ttl_12h_tokens ttl_30m_tokens tunnel_id tunnel_token type types unevaluatedItems unevaluatedProperties
    uniqueItems unsupported upcoming_runs_at updated_at uri url url_citation url_sources usage use_cache user
    user_id user_input user_location user_profile_id value variables vector_store_ids verbosity version video_url
    view_range violence violence_graphic voice wait web_fetch_requests web_search web_search_options
    web_search_requests workflows working_directory workspace_id writeOnly x xhigh y zoom
    """.split()  # noqa: SIM905 - one to a line would be six hundred lines
)


def below(place: str, key: str) -> str:
    """Return the place of ``key`` in what stands at *place*, without any word of the caller's own."""
    name = key if key in KNOWN_KEYS else "*"
    return f"{place}.{name}" if place else name
