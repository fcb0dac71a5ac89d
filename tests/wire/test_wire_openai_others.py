"""OpenAI's responses, completions, embeddings and moderations: places of text, parameters, replies."""

from __future__ import annotations

import json

import pytest

from iron_adapters.wire import codec_for
from iron_policy.exceptions import WireError
from iron_policy.messages import ToolCall


def read(path, **body):
    return codec_for("POST", path).read_request(json.dumps({"model": "gpt-5.1", **body}).encode(), {})


def responses(**body):
    return read("/v1/responses", **body)


def said(wire):
    return [text.text for text in wire.request.texts]


def test_a_response_may_be_asked_with_one_text():
    wire = responses(instructions="be kind", input="hi")

    assert [(text.role, text.text) for text in wire.request.texts] == [("system", "be kind"), ("user", "hi")]


def test_every_kind_of_item_is_walked():
    wire = responses(
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "yo", "annotations": []}],
            },
            {
                "type": "reasoning",
                "id": "r",
                "summary": [{"type": "summary_text", "text": "sum"}],
                "encrypted_content": "e",
            },
            {"type": "function_call", "call_id": "c1", "name": "mail", "arguments": '{"to":"bob"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "sent"},
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": [{"type": "input_text", "text": "more"}],
            },
            {"type": "custom_tool_call", "call_id": "c2", "name": "sh", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "file"},
            {
                "type": "local_shell_call",
                "call_id": "c3",
                "action": {"type": "exec", "command": ["cat"], "env": {"K": "v"}},
            },
            {"type": "local_shell_call_output", "call_id": "c3", "output": "out"},
            {"type": "shell_call_output", "call_id": "c3", "output": [{"stdout": "so", "stderr": "se"}]},
            {"type": "computer_call", "call_id": "c4", "action": {"type": "type", "text": "typed"}},
            {
                "type": "mcp_call",
                "name": "roll",
                "server_label": "d",
                "arguments": '{"x":"y"}',
                "output": "4",
            },
            {
                "type": "mcp_list_tools",
                "tools": [{"name": "roll", "description": "rolls", "input_schema": {"description": "s"}}],
            },
            {
                "type": "code_interpreter_call",
                "code": "print()",
                "outputs": [{"type": "logs", "logs": "log"}],
            },
            {
                "type": "apply_patch_call",
                "call_id": "c5",
                "operation": {"type": "create_file", "path": "p", "diff": "d"},
            },
            {"type": "image_generation_call", "result": "QUJD" * 16, "revised_prompt": "cat"},
            {"type": "web_search_call", "action": {"type": "search", "query": "q"}},
            {"type": "brand_new", "note": "new"},
        ]
    )

    assert said(wire) == [
        "hi", "yo", "sum", "to", "bob", "sent", "more", "ls", "file", "cat", "K", "v", "out", "so", "se", "typed",
        "x", "y", "4", "rolls", "s", "print()", "log", "p", "d", "cat", "q", "new",
    ]  # fmt: skip
    of_tools = {text.text: (text.role, text.tool_name) for text in wire.request.texts}
    assert of_tools["bob"] == ("assistant", "mail")
    assert of_tools["sent"] == ("tool", "mail")
    assert of_tools["out"] == ("tool", "local_shell")


def test_tools_formats_templates_and_metadata_of_a_response_are_walked():
    wire = responses(
        input="hi",
        tools=[
            {"type": "function", "name": "f", "description": "does", "parameters": {"description": "p"}},
            {"type": "web_search_preview"},
            {"type": "mcp", "server_label": "d", "server_description": "dice"},
            {
                "type": "namespace",
                "name": "ns",
                "description": "space",
                "tools": [{"type": "function", "name": "g"}],
            },
        ],
        text={"format": {"type": "json_schema", "name": "n", "schema": {"description": "form"}}},
        prompt={"id": "pmpt_1", "variables": {"who": "alice", "pic": {"type": "input_text", "text": "bob"}}},
        metadata={"k": "v"},
    )

    assert {"does", "p", "dice", "space", "form", "alice", "bob", "k", "v"} <= set(said(wire))
    assert "pmpt_1" not in said(wire)
    assert wire.request.tool_names == ("f", "web_search_preview", "mcp", "ns", "g")


@pytest.mark.parametrize(
    "added",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "p"}},
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "file_search"}]},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
    ],
)
def test_input_that_the_provider_adds_has_no_bound_of_ours(added):
    assert responses(**{"input": "hi", **added}).request.input_tokens_bound is None


def test_the_output_limit_of_a_response_is_set_under_its_own_key():
    wire = responses(input="hi")
    wire.set_max_tokens(50)
    wire.set_model("gpt-5.1-mini")

    assert json.loads(wire.body()) == {"model": "gpt-5.1-mini", "input": "hi", "max_output_tokens": 50}


def test_a_response_gives_its_texts_its_calls_and_its_end_and_not_what_it_repeats():
    document = {
        "model": "m",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "instructions": "be kind",
        "tools": [{"type": "function", "name": "f", "description": "does"}],
        "output": [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "hi", "logprobs": [{"token": "hi"}]}],
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":"b"}'},
            {"type": "shell_call", "call_id": "c2", "action": {"commands": ["ls"]}},
            {"type": "mcp_approval_request", "id": "m1", "name": "g", "arguments": "{}"},
            {"type": "web_search_call", "action": {"query": "q"}},
        ],
        "usage": {"input_tokens": 5, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3}},
    }
    wire = codec_for("POST", "/v1/responses").read_response(json.dumps(document).encode())

    assert [text.text for text in wire.response.texts] == ["hi", "a", "b", "ls", "q", "max_output_tokens"]
    assert wire.response.finish_reasons == ("max_output_tokens",)
    assert wire.response.tool_calls == (
        ToolCall("f", '{"a":"b"}', "c1"),
        ToolCall("shell", '{"commands":["ls"]}', "c2"),
        ToolCall("g", "{}", "m1"),
    )
    wire.rewrite(["HI", "a", "b", "ls", "q", "max_output_tokens"])
    part = json.loads(wire.body())["output"][0]["content"][0]
    assert part == {"type": "output_text", "text": "HI", "logprobs": []}


def test_a_completion_has_a_choice_for_each_prompt_and_each_time_it_is_asked():
    wire = read("/v1/completions", prompt=["a", "b"], n=2, best_of=3, suffix="s", max_tokens=4)

    assert said(wire) == ["a", "b", "s"]
    assert wire.request.choice_count == 6
    assert wire.request.operation_name == "text_completion"


def test_a_whole_completion_gives_its_texts_and_drops_log_probabilities_of_what_changed():
    choices = [
        {"index": 0, "text": "bob", "logprobs": {"tokens": ["bob"]}, "finish_reason": "stop"},
        {"index": 1, "text": "hi", "logprobs": {"tokens": ["hi"]}, "finish_reason": "length"},
    ]
    codec = codec_for("POST", "/v1/completions")
    wire = codec.read_response(json.dumps({"model": "m", "choices": choices}).encode())
    assert [text.text for text in wire.response.texts] == ["bob", "hi"]
    assert wire.response.finish_reasons == ("stop", "length")

    wire.rewrite(["<NAME>", "hi"])
    first, second = json.loads(wire.body())["choices"]
    assert (first["text"], first["logprobs"]) == ("<NAME>", None)
    assert second == choices[1]


@pytest.mark.parametrize("ids", [[1, 2], [[1, 2], [3]], [[1], "text"]])
@pytest.mark.parametrize(("path", "key"), [("/v1/completions", "prompt"), ("/v1/embeddings", "input")])
def test_token_ids_are_refused_with_the_remedy(path, key, ids):
    with pytest.raises(WireError, match="check_embedding_ctx_length=False"):
        read(path, **{key: ids})


@pytest.mark.parametrize("given", ["text", ["one", "two"]])
def test_embeddings_are_documents_and_have_no_output(given):
    wire = read("/v1/embeddings", input=given, user="alice")

    assert {text.role for text in wire.request.texts} == {"document", "user"}
    assert wire.request.max_tokens == 0
    wire.set_max_tokens(5)
    assert "max_tokens" not in json.loads(wire.body())


def test_an_embedding_costs_what_it_read():
    codec = codec_for("POST", "/v1/embeddings")
    wire = codec.read_response(
        b'{"model":"m","data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":4,"total_tokens":4}}'
    )

    assert wire.response.usage.uncached_input_tokens == 4
    assert wire.response.usage.output_tokens == 0


def test_what_costs_nothing_is_walked_all_the_same():
    moderation = codec_for("POST", "/v1/moderations").read_request(
        b'{"input":["hi",{"type":"text","text":"yo"}]}', {}
    )
    count = codec_for("POST", "/v1/messages/count_tokens").read_request(
        b'{"model":"claude-sonnet-5","messages":[{"role":"user","content":"hi"}]}', {}
    )

    assert said(moderation) == ["hi", "yo"]
    assert said(count) == ["hi"]
    assert not moderation.request.billed
    assert not count.request.billed


def test_endpoints_that_do_not_stream_say_so():
    codec = codec_for("POST", "/v1/embeddings")

    with pytest.raises(WireError, match="the reply is a stream"):
        codec.stream(None, read("/v1/embeddings", input="x"))
