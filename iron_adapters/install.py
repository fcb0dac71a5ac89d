"""The one place that patches other libraries: ``Client._send_single_request`` of httpx and httpx2, sync and async.

Every HTTP request of these libraries goes through that method, also with a transport of the user's own and under
vcrpy. The patch acts on calls that a framework's hook has marked, and leaves every other request alone but for one
look at a context variable. It proves that it works before it stays, and it can be undone.
"""

from __future__ import annotations

import inspect
import sys
import threading
from functools import wraps
from typing import TYPE_CHECKING, Any

from iron_adapters.marks import is_claimed, live_mark
from iron_adapters.providers import provider_of
from iron_adapters.sdk_errors import REFUSAL
from iron_adapters.transport import Seam
from iron_adapters.wire import codec_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_METHOD = "_send_single_request"
_STATUS_METHOD = "_make_status_error"
_lock = threading.Lock()
_originals: dict[tuple[type[Any], str], Any] = {}


class PatchError(RuntimeError):
    """The HTTP library has changed in a way that the patch does not fit; nothing is governed through it."""


def ensure_patched() -> None:
    """Patch those of httpx and httpx2 that this process has loaded. Cheap when there is nothing to do.

    Raises:
        PatchError: a library has no such method, or not with these parameters.
    """
    for name in ("httpx", "httpx2"):
        http = sys.modules.get(name)
        if http is not None and (getattr(http, "Client", None), _METHOD) not in _originals:
            _patch(http)


def surface_refusals() -> None:
    """Let anthropic before 1.0 raise a refusal that its transport had to answer with a response.

    It disguises whatever a transport raises. A response it turns into an error of its own in
    ``_make_status_error``, and there the refusal that the response carries takes that error's place.
    """
    anthropic = sys.modules["anthropic"]
    with _lock:
        for cls in (anthropic.Anthropic, anthropic.AsyncAnthropic):
            if (cls, _STATUS_METHOD) not in _originals:
                original = getattr(cls, _STATUS_METHOD)
                setattr(cls, _STATUS_METHOD, _surfacing(original))
                _originals[cls, _STATUS_METHOD] = original


def _surfacing(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def make(self: Any, err_msg: str, *, body: object, response: Any) -> Any:
        refusal = response.extensions.get(REFUSAL)
        return original(self, err_msg, body=body, response=response) if refusal is None else refusal

    make._iron_original = original  # type: ignore[attr-defined]  # noqa: SLF001
    return make


def unpatch() -> None:
    """Put every patched method back, unless another library has wrapped it since."""
    with _lock:
        for (cls, method), original in list(_originals.items()):
            if getattr(cls.__dict__.get(method), "_iron_original", None) is original:
                setattr(cls, method, original)
            del _originals[cls, method]


def _patch(http: ModuleType) -> None:
    with _lock:
        for cls, wrap in ((http.Client, _governed), (http.AsyncClient, _governed_async)):
            if (cls, _METHOD) in _originals:
                continue
            original = cls.__dict__.get(_METHOD)
            if original is None or list(inspect.signature(original).parameters) != ["self", "request"]:
                raise PatchError(
                    f"{http.__name__} {getattr(http, '__version__', '?')} has no {cls.__name__}.{_METHOD}(self, request); "
                    "use govern(client) or IronChatModel instead, which need no patch"
                )
            setattr(cls, _METHOD, wrap(original))
            _originals[cls, _METHOD] = original


def _governed(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def send(self: Any, request: Any) -> Any:
        seam = _seam(request)
        if seam is None:
            return original(self, request)
        return seam.send(request, lambda admitted: original(self, admitted))

    send._iron_original = original  # type: ignore[attr-defined]  # noqa: SLF001
    return send


def _governed_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def send(self: Any, request: Any) -> Any:
        seam = _seam(request)
        if seam is None:
            return await original(self, request)
        return await seam.send_async(request, lambda admitted: original(self, admitted))

    send._iron_original = original  # type: ignore[attr-defined]  # noqa: SLF001
    return send


def _seam(request: Any) -> Seam | None:
    """Return what governs *request*, ``None`` where it is none of our business."""
    marked = live_mark()
    if marked is None or is_claimed():
        return None
    url = request.url
    known = provider_of(marked.engine.policy, url.host, url.port)
    if known is None and codec_for(request.method, url.path) is None:
        return None
    marked.note_request()
    return Seam(marked.engine, marked.scope, as_status=False)
