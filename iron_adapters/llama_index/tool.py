"""``IronTool``: a LlamaIndex tool held to a policy.

Usage::

    from iron_adapters.llama_index import IronTool

    tools = IronTool.wrap_all([search, send_email, QueryEngineTool.from_defaults(engine)], policy="policy.yaml")
    agent = FunctionAgent(tools=tools, llm=IronLLM.wrap(llm, policy="policy.yaml"))

LlamaIndex tells no callback of an agent's tools, so nothing else of it can govern them. A tool that is refused, or whose
result is, does not end the agent: the model reads the reason in a ``ToolOutput`` with ``is_error``. Real values stand
behind tokens only where the policy reveals them to the tool.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llama_index.core.tools import AsyncBaseTool, BaseTool, FunctionTool, ToolOutput, adapt_to_async_tool

from iron_adapters.llama_index.plain import plain
from iron_adapters.resolve import Governor
from iron_adapters.tool_arguments import revealed_arguments, told
from iron_adapters.wire.json_texts import JsonTexts
from iron_policy.exceptions import PolicyDenied
from iron_policy.messages import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llama_index.core.tools import ToolMetadata

    from iron_adapters.resolve import PolicyLike


class IronTool(AsyncBaseTool):
    """Hold every call of a tool to a policy.

    Args:
        tool: the tool to hold.
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.

    Raises:
        PolicyError: *policy* is no policy.
        TypeError: *tool* is no tool.
    """

    def __init__(self, tool: BaseTool, policy: PolicyLike = None) -> None:
        if not isinstance(tool, BaseTool):
            raise TypeError(
                f"IronTool takes a tool, not {type(tool).__name__}; make a FunctionTool of a function"
            )
        self.wrapped = adapt_to_async_tool(tool)
        self._governor = Governor(policy)

    @classmethod
    def wrap(cls, tool: BaseTool, policy: PolicyLike = None) -> IronTool:
        """Return *tool*, governed; a ``FunctionTool`` stays one, so that agents still hand it their context."""
        return (_IronFunctionTool if isinstance(tool, FunctionTool) else cls)(tool, policy)

    @classmethod
    def wrap_all(cls, tools: Iterable[BaseTool], policy: PolicyLike = None) -> list[BaseTool]:
        """Return all *tools*, governed by one policy."""
        return [cls.wrap(tool, policy) for tool in tools]

    @property
    def metadata(self) -> ToolMetadata:
        """Say of the tool what it says of itself."""
        return self.wrapped.metadata

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """Run the tool, or say why not."""
        admitted = self._admitted(args, kwargs)
        if isinstance(admitted, ToolOutput):
            return admitted
        return self._judged(self.wrapped.call(*admitted[0], **admitted[1]))

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """Run the tool, as :meth:`call` does."""
        admitted = self._admitted(args, kwargs)
        if isinstance(admitted, ToolOutput):
            return admitted
        return self._judged(await self.wrapped.acall(*admitted[0], **admitted[1]))

    def _admitted(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | ToolOutput:
        """Return the arguments as the tool may see them, or what the model is told instead."""
        engine, scope = self._governor.engine_and_scope()
        positions = {name: index for index, name in enumerate(self._parameters()[: len(args)])}
        named = {**{name: args[index] for name, index in positions.items()}, **kwargs}
        given = {name: value for name, value in named.items() if value is not None and plain(value) == value}
        asked = ToolCall(self.metadata.get_name(), json.dumps(given, ensure_ascii=False))
        try:
            revealed = revealed_arguments(engine, asked, scope=scope)
        except PolicyDenied as denied:
            return self._refused(denied, given)
        if revealed is None:
            return args, kwargs
        kept = {index: revealed[name] for name, index in positions.items() if name in revealed}
        return (
            tuple(kept.get(index, value) for index, value in enumerate(args)),
            {name: revealed.get(name, value) for name, value in kwargs.items()},
        )

    def _judged(self, output: ToolOutput) -> ToolOutput:
        """Return what the tool has returned, or what the model is told instead."""
        engine, scope = self._governor.engine_and_scope()
        name = self.metadata.get_name()
        texts = JsonTexts()
        texts.walk({"blocks": plain(output.blocks)}, "blocks", "tool", "tool_result", name)
        try:
            engine.judge_tool_result(name, texts.texts, scope=scope)
        except PolicyDenied as denied:
            return self._refused(denied, output.raw_input)
        return output

    def _parameters(self) -> list[str]:
        return list(self.metadata.get_parameters_dict().get("properties", ()))

    def _refused(self, denied: PolicyDenied, arguments: dict[str, Any]) -> ToolOutput:
        answer = told(denied)
        return ToolOutput(
            tool_name=self.metadata.get_name(),
            content=answer,
            raw_input=arguments,
            raw_output=answer,
            is_error=True,
            exception=denied,
        )


class _IronFunctionTool(IronTool, FunctionTool):
    """A governed ``FunctionTool``: what agents ask of the function, it answers for itself."""

    def __init__(self, tool: FunctionTool, policy: PolicyLike = None) -> None:
        IronTool.__init__(self, tool, policy)
        self.__dict__.update({**vars(tool), **vars(self)})
