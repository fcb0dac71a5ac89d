"""The one place that patches other libraries: ``Client._send_single_request`` of httpx and httpx2, sync and async.

Every HTTP request of these libraries goes through that method, also with a transport of the user's own and under
vcrpy. The patch acts on calls that a framework's hook has marked, and leaves every other request alone but for one
look at a context variable. It proves that it works before it stays, and it can be undone.
"""

from __future__ import annotations

import copy
import inspect
import sys
import threading
import warnings
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from iron_adapters.client import without_finalizer
from iron_adapters.marks import Mark, claims_here, is_charged, is_claimed, live_mark, mark
from iron_adapters.own_routers import with_proof
from iron_adapters.providers import provider_of
from iron_adapters.relay import RelayEngine
from iron_adapters.resolve import Governor, set_default_engine
from iron_adapters.runtime_address import runtime_address
from iron_adapters.runtime_link import Link
from iron_adapters.sdk_errors import REFUSAL, sdk_of
from iron_adapters.transport import Seam
from iron_adapters.wire import codec_for
from iron_policy.document import Policy
from iron_policy.engine import PolicyEngine
from iron_policy.exceptions import PolicyDenied
from iron_policy.scope import current_scope, entered, process_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from iron_adapters.resolve import PolicyLike
    from iron_policy.scope import Scope

_METHOD = "_send_single_request"
_STATUS_METHOD = "_make_status_error"
_lock = threading.Lock()
_originals: dict[tuple[type[Any], str], Any] = {}
_installed: Governor | None = None
_LOOK_FOR_NOTHING = dict.fromkeys(
    ("input", "output"), dict.fromkeys(("pii", "secrets", "injection"), "allow")
)
_UNSEEN = {
    "botocore": "boto3 (Bedrock)",
    "google.ai.generativelanguage": "gRPC (Gemini)",
    "google.cloud.aiplatform": "gRPC (Vertex AI)",
}
"""Those that are loaded by hardly anyone who does not call a provider with them, unlike grpc, requests and aiohttp."""


class PatchError(RuntimeError):
    """The HTTP library has changed in a way that the patch does not fit; nothing is governed through it."""


def ensure_patched() -> None:
    """Patch those of httpx and httpx2 that this process has loaded. Cheap when there is nothing to do.

    Raises:
        PatchError: a library has no such method, or not with these parameters.
    """
    for name in ("httpx", "httpx2"):
        client = getattr(sys.modules.get(name), "Client", None)  # none yet, while another thread imports it
        if client is not None and (client, _METHOD) not in _originals:
            _patch(sys.modules[name])


class Installation:
    """What :func:`install` did; as a context manager it is undone at the end of the block.

    Attributes:
        patched: the methods that are patched, such as ``httpx.Client._send_single_request``.
        not_covered: loaded libraries that reach providers by ways which are not governed.
    """

    def __init__(self, governor: Governor) -> None:
        self.governor = governor
        self.patched = tuple(
            sorted(f"{cls.__module__}.{cls.__qualname__}.{method}" for cls, method in _originals)
        )
        self.not_covered = tuple(name for module, name in _UNSEEN.items() if module in sys.modules)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        uninstall()


def install(policy: PolicyLike = None) -> Installation:
    """Govern every call of this process to a known or configured provider, whatever library makes it.

    Covered: httpx and httpx2, clients made before and after, sync and async, streams; so the OpenAI and Anthropic SDKs,
    LangChain, LlamaIndex, CrewAI, litellm. Other HTTP traffic is left alone. Not covered: boto3, gRPC, requests, raw
    aiohttp, websockets. Installing again replaces the policy.

    Raises:
        PolicyError: *policy* is no policy; nothing is installed.
        PatchError: the HTTP library does not fit, or the proof that a call is blocked failed; nothing is installed.
        ImportError: neither httpx nor httpx2 is there.
    """
    global _installed  # noqa: PLW0603 - installation is a state of the process
    governor = Governor(policy)
    present = [name for name in ("httpx", "httpx2") if find_spec(name) is not None]
    if not present:
        raise ImportError('install() needs httpx or httpx2: pip install "iron-adapters[openai]"')
    for name in present:
        import_module(name)
    ensure_patched()
    done, engine = Installation(governor), governor.engine_and_scope()[0]
    if done.not_covered and _is_strict(engine.policy):
        warnings.warn(
            f"calls through {', '.join(done.not_covered)} are not governed; this policy caps or blocks, and they would "
            "pass it by",
            UngovernedWarning,
            stacklevel=2,
        )
    _installed = governor
    if not isinstance(engine, RelayEngine):
        set_default_engine(engine)
    return done


def uninstall() -> None:
    """Undo :func:`install`: put back every method that no other library has wrapped since.

    In a process that is governed from outside (``iron-runtime run``) the patch stays, and so does that policy.
    """
    global _installed  # noqa: PLW0603 - installation is a state of the process
    _installed = None
    set_default_engine(None)
    if process_scope() is None:
        unpatch()


class UngovernedWarning(UserWarning):
    """A library is loaded whose calls to providers are not governed."""


def _is_strict(policy: Policy) -> bool:
    """Tell whether a call that slips by would break a promise of *policy*."""
    safety = policy.safety
    actions = {
        safety.input.pii,
        safety.input.secrets,
        safety.input.injection,
        *map(str, safety.kinds.values()),
    }
    return bool(policy.budgets) or "block" in actions


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
    if not _blocks(http):
        unpatch()
        raise PatchError(
            f"{http.__name__}: a call that had to be refused went through; nothing is governed there"
        )


def _blocks(http: ModuleType) -> bool:
    """Send a call that must be refused through both patched methods, towards nowhere; tell whether it was."""
    engine = PolicyEngine(
        Policy.model_validate({"access": {"models": {"allow": []}}, "safety": _LOOK_FOR_NOTHING}), sinks=[]
    )
    engine.recorder.sinks = ()  # whoever watches every engine would take the proof for a call
    reached: list[Any] = []

    def answer(request: Any) -> Any:
        reached.append(request)
        return http.Response(200)

    nowhere = http.MockTransport(answer)
    request = http.Request(
        "POST", "https://api.openai.com/v1/chat/completions", json={"model": "x", "messages": []}
    )
    token = mark.set(Mark(engine, engine.implicit_scope, explicit=True))
    refusals = 0
    try:
        for send in (
            http.Client(transport=nowhere)._send_single_request,  # noqa: SLF001
            _at_once(http.AsyncClient(transport=nowhere)),
        ):
            try:
                with entered(engine.implicit_scope):  # whatever run this is, the proof is none of its calls
                    send(request)
            except PolicyDenied:
                refusals += 1
    finally:
        mark.reset(token)
    return refusals == 2 and not reached  # noqa: PLR2004 - sync and async


def _at_once(client: Any) -> Callable[[Any], object]:
    """Return a way to send without an event loop: a call that is refused never waits for anything."""
    return lambda request: client._send_single_request(request).send(None)  # noqa: SLF001


def _governed(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def send(self: Any, request: Any) -> Any:
        seam = _seam(self, request)
        if seam is None:
            return original(self, request)
        if isinstance(seam, Link):
            return seam.send(request, lambda linked: original(_unproxied(self), linked))
        # Through here again: another policy may have to act on the same call.
        return seam.send(request, lambda admitted: send(self, admitted))

    send._iron_original = original  # type: ignore[attr-defined]  # noqa: SLF001
    return send


def _governed_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def send(self: Any, request: Any) -> Any:
        seam = _seam(self, request)
        if seam is None:
            return await original(self, request)
        if isinstance(seam, Link):
            return await seam.send_async(request, lambda linked: original(_unproxied(self), linked))
        return await seam.send_async(request, lambda admitted: send(self, admitted))

    send._iron_original = original  # type: ignore[attr-defined]  # noqa: SLF001
    return send


class _Applying(NamedTuple):
    """A policy that applies to a call, and the scope it draws on."""

    engine: PolicyEngine
    scope: Scope
    explicit: bool
    marked: Mark | None = None


def _seam(client: Any, request: Any) -> Seam | Link | None:
    """Return what is next to act on *request*, ``None`` where nobody is, or nobody any more.

    Policies apply from the outermost in, and then the runtime, if there is one. A policy that was named nowhere yields
    to one that was: a run without a policy of its own, around a client that has one, only adds its budget.
    """
    applying = [found for found in _applying() if _concerns(found, request)]
    if not applying and not claims_here():
        return None
    governor = _governor_of_transport(client, request)
    named_below = None if governor is None else governor.explicit_engine
    acting = _next(applying, named_below) if applying else None
    if acting is not None or governor is not None:
        return acting  # a transport of ours is the last to act, so what is left to do is its
    with_proof(request)
    return _link(applying, request)


def _link(applying: list[_Applying], request: Any) -> Link | None:
    """Return the link to the runtime, where there is one and *request* is a call to a model."""
    address = runtime_address()
    if address is None:
        return None
    marked = live_mark()
    own_terms = None if marked is None else marked.own_terms
    scope = applying[0].scope if applying else current_scope()
    scope = scope or next((claim.scope for claim in claims_here() if claim.scope is not None), None)
    if scope is None or not (applying or _is_model_call(request)):
        return None
    return Link(address, scope, as_status=False, own_terms=own_terms)


def _is_model_call(request: Any) -> bool:
    return sdk_of(request.headers) is not None or codec_for(request.method, request.url.path) is not None


def _unproxied(client: Any) -> Any:
    """Return *client*, or a twin that goes through no proxy: a runtime is reached as it is."""
    if not client._mounts:  # noqa: SLF001 - where httpx keeps its proxies
        return client
    twin = copy.copy(client)
    own_class: Any = type(client)
    twin.__class__ = without_finalizer(own_class)
    twin._mounts = {}  # noqa: SLF001 - where httpx keeps its proxies
    return twin


def next_seam(named_below: PolicyEngine | None = None) -> Seam | None:
    """Return what is next to act on a call that httpx does not send, ``None`` where nobody is, or nobody any more.

    Args:
        named_below: the policy that the call itself was given, if it was.
    """
    return _next(list(_applying()), named_below)


def _next(applying: list[_Applying], named_below: PolicyEngine | None) -> Seam | None:
    for found in applying:
        if found.marked is not None:
            found.marked.note_request()  # also where another seam acts for it: its hook must not charge the call again
        if isinstance(found.engine, RelayEngine) or is_claimed(found.engine if found.explicit else None):
            continue
        named = [named_below, *(other.engine for other in applying if other.explicit)]
        if not found.explicit and any(engine not in (None, found.engine) for engine in named):
            continue
        return _acting(found)
    return None


def _applying() -> Iterator[_Applying]:
    if _installed is not None:
        engine, scope = _installed.engine_and_scope()
        yield _Applying(engine, scope, _installed.explicit_engine is not None)
    run, process = current_scope(), process_scope()
    if run is not None and process in run.lineage()[1:] and run.engine is not process.engine:
        yield _Applying(process.engine, run, process.explicit_policy)
    if run is not None and run.governs_wire:
        yield _Applying(run.engine, run, run.explicit_policy)
    marked = live_mark()
    if marked is not None:
        for found in (*_enclosing(marked), marked):
            yield _Applying(found.engine, found.scope, found.explicit, found)


def _enclosing(marked: Mark) -> Iterator[Mark]:
    """Yield the marks of other policies around *marked*."""
    found = marked.enclosing
    while found is not None:
        if found.explicit and found.engine is not marked.engine and not found.over:
            yield found
        found = found.enclosing


def _concerns(found: _Applying, request: Any) -> bool:
    """Tell whether *request* is a call to a model, as far as *found* is concerned."""
    url = request.url
    if provider_of(found.engine.policy, url.host, url.port, url.path) is not None:
        return True
    if found.marked is not None:
        return codec_for(request.method, url.path) is not None
    return sdk_of(request.headers) is not None


def _acting(found: _Applying) -> Seam:
    """Return the seam for *found*. A scope that a seam further out charges already is not charged again."""
    marked, scope = found.marked, found.scope
    if marked is None:
        return Seam(found.engine, scope, as_status=False, charges=not is_charged(scope))
    if is_charged(scope):
        scope = found.engine.implicit_scope
    return Seam(found.engine, scope, as_status=False, own_terms=marked.own_terms)


def _governor_of_transport(client: Any, request: Any) -> Governor | None:
    """Return what ``govern`` gave the client which sends *request*, if it did."""
    governor: Governor | None = getattr(client._transport_for_url(request.url), "governor", None)  # noqa: SLF001
    return governor
