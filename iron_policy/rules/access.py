"""Which models, tools and parameters a call may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iron_policy.exceptions import ModelNotAllowed, ParameterNotAllowed, PolicyDenied, ToolNotAllowed
from iron_policy.rules.names import name_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iron_policy.document import Access, Parameters
    from iron_policy.messages import ModelRequest
    from iron_policy.rules import Rule


def access_rules(access: Access) -> Iterator[Rule]:
    """Yield the rules that *access* asks for, and none that would pass everything."""
    if (models := name_filter(access.models)) is not None:
        yield allow_models(models)
    if (tools := name_filter(access.tools)) is not None:
        yield allow_tools(tools)
    yield from parameter_rules(access.parameters)


def allow_models(allows: Callable[[str], bool]) -> Rule:
    """Refuse a call to a model that *allows* does not know, or that may go on to one."""

    def rule(request: ModelRequest) -> ModelRequest | PolicyDenied:
        if not allows(request.model):
            return denied_model(request.model)
        for model in request.other_models:
            if not allows(model):
                return denied_model(model)
        # On Azure the URL's deployment answers, whatever the body calls itself: it has to be on the list by its name.
        if request.deployment_name is not None and not allows(request.deployment_name):
            return denied_model(request.deployment_name)
        return request

    return rule


def allow_tools(allows: Callable[[str], bool]) -> Rule:
    """Refuse a call that offers a tool that *allows* does not know."""

    def rule(request: ModelRequest) -> ModelRequest | PolicyDenied:
        for name in request.tool_names:
            if not allows(name):
                return denied_tool(name)
        return request

    return rule


def parameter_rules(parameters: Parameters) -> Iterator[Rule]:
    """Yield what holds a call's parameters within bounds."""
    if parameters.deny:
        yield deny_parameters(frozenset(parameters.deny))
    if parameters.choice_count is not None:
        yield limit_choices(parameters.choice_count)
    if parameters.max_tokens is not None:
        yield cap_max_tokens(parameters.max_tokens)


def deny_parameters(names: frozenset[str]) -> Rule:
    """Refuse a call that sets one of *names*."""

    def rule(request: ModelRequest) -> ModelRequest | PolicyDenied:
        if names.isdisjoint(request.parameter_names):
            return request
        for name in request.parameter_names:
            if name in names:
                return ParameterNotAllowed(
                    f"parameter {name!r} is not allowed by access.parameters.deny; leave it out"
                )
        return request

    return rule


def limit_choices(most: int) -> Rule:
    """Refuse a call for more than *most* choices."""

    def rule(request: ModelRequest) -> ModelRequest | PolicyDenied:
        if request.choice_count <= most:
            return request
        return ParameterNotAllowed(
            f"{request.choice_count} choices asked for, access.parameters.choice_count allows {most}"
        )

    return rule


def cap_max_tokens(most: int) -> Rule:
    """Hold a call to *most* output tokens; it never raises what the caller asked for."""

    def rule(request: ModelRequest) -> ModelRequest:
        if request.operation_name == "embeddings" or (
            request.max_tokens is not None and request.max_tokens <= most
        ):
            return request
        return request._replace(max_tokens=most)

    return rule


def denied_model(model: str) -> ModelNotAllowed:
    """Return the refusal of *model*."""
    return ModelNotAllowed(f"model {model!r} is not allowed; access.models in the policy lists what is")


def denied_tool(name: str) -> ToolNotAllowed:
    """Return the refusal of the tool *name*."""
    return ToolNotAllowed(f"tool {name!r} is not allowed; access.tools in the policy lists what is")
