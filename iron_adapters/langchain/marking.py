"""What a callback is told of a model call, and the mark that it leaves for the wire.

Owns how a LangChain run is told apart from others, and which models are known to reach the wire. Knows no policy.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iron_adapters.langchain.messages import Prompt
from iron_adapters.langchain.requests import TEXTS, request_of
from iron_adapters.langchain.wire_calls import ON_THE_WIRE
from iron_adapters.marks import Mark

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from langchain_core.messages import BaseMessage

    from iron_adapters.langchain.watched import Watched
    from iron_policy.call import Call
    from iron_policy.messages import ModelRequest, OperationName


@dataclass(slots=True, kw_only=True)
class CallMark(Mark):
    """The mark of one LangChain run.

    A model that is not known to reach the wire is watched here, until a request within it is governed itself. The mark
    lives as long as its run: LangChain does not tell of the end of every run (one that is cancelled, or that another
    callback breaks off), and the run's id goes with it.
    """

    run: weakref.ref[UUID]
    judged: Call
    watched: Watched | None = None

    def note_request(self) -> None:
        """Count a request; what is governed itself is not to be charged here too."""
        Mark.note_request(self)
        if self.watched is not None:
            self.watched.stand_back()

    def end(self) -> None:
        """End the mark. What its call still holds is charged once nobody can tell of its end any more.

        The collector may run this, so it takes no lock.
        """
        self.over = True
        self.watched = None


def living_with(run_id: UUID, **fields: Any) -> CallMark:
    """Return a mark that ends with the run that *run_id* names."""
    marked = CallMark(run=weakref.ref(run_id), **fields)
    weakref.finalize(run_id, marked.end).atexit = False
    return marked


def reaches_wire(serialized: Mapping[str, Any] | None, kind: str) -> bool:
    """Tell whether a model is known to reach the wire, or to be governed where it makes its calls."""
    return kind in ON_THE_WIRE or "iron_adapters" in (serialized or {}).get("id", ())


def told_of(
    messages: list[BaseMessage], told: Mapping[str, Any], operation_name: OperationName = "chat"
) -> tuple[ModelRequest, str]:
    """Return what a callback is *told* of a call, as the engine sees it, and the model's kind."""
    params: Mapping[str, Any] = told.get("invocation_params") or {}
    kind = str(params.get("_type") or "")
    provider_name = str((told.get("metadata") or {}).get("ls_provider") or kind or "unknown")
    prompt = Prompt(messages, {key: params[key] for key in TEXTS if key in params})
    return request_of(provider_name, params, prompt, operation_name=operation_name), kind
