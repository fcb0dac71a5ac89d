"""The double as an ASGI application: routes, and the way of one request through them.

Owns the order: record, check the caller, read, check the model, meet a fault, answer, bill. Needs Starlette.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson
from starlette.applications import Starlette
from starlette.routing import Route

from iron_adapters.testing import catalogue
from iron_adapters.testing.answer import Answer, ModelEndpoint
from iron_adapters.testing.anthropic_messages import Messages
from iron_adapters.testing.billing import MOST_LINES, Bill
from iron_adapters.testing.choices import choices_of, usage_of
from iron_adapters.testing.dialects import ANTHROPIC, OPENAI, Dialect
from iron_adapters.testing.lookups import CountTokens, Embeddings, LookupEndpoint, Moderations
from iron_adapters.testing.openai_chat import ChatCompletions
from iron_adapters.testing.openai_completions import Completions
from iron_adapters.testing.openai_responses import Responses
from iron_adapters.testing.problems import Problem
from iron_adapters.testing.recorder import ReceivedRequest, ReceivedRequests
from iron_adapters.testing.response_store import ResponseStore
from iron_adapters.testing.script import Script
from iron_adapters.testing.sending import StreamedReply, WholeReply
from iron_adapters.testing.stamp import Stamp
from iron_policy.messages import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from iron_adapters.testing.faults import Fault
    from iron_adapters.testing.settings import Settings


@dataclass(slots=True, kw_only=True)
class Desk:
    """Everything that requests share."""

    settings: Settings
    requests: ReceivedRequests
    script: Script = field(default_factory=Script)
    most_bill_lines: int = MOST_LINES
    bill: Bill = field(init=False)
    store: ResponseStore = field(default_factory=ResponseStore)
    numbers: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.start_new_bill()

    def start_new_bill(self) -> None:
        """Bill what comes on a new bill; streams that still run are billed on the one they began on."""
        self.bill = Bill(self.most_bill_lines)

    def models_of(self, dialect: Dialect) -> Mapping[str, str]:
        """Return the models that *dialect*'s provider has."""
        return self.settings.openai_models if dialect.name == "openai" else self.settings.anthropic_models


@dataclass(slots=True, kw_only=True)
class _Exchange:
    """One request that was recorded, on its way to an answer."""

    desk: Desk
    dialect: Dialect
    path: str
    headers: Mapping[str, str]
    body: bytes
    stamp: Stamp

    def whole(self, body: bytes, *, input_tokens: int = 0, fault: Fault | None = None) -> WholeReply:
        headers = self.dialect.headers(self.stamp, input_tokens)
        return WholeReply(status=200, headers=headers, body=body, settings=self.desk.settings, fault=fault)

    def refusal(self, problem: Problem) -> WholeReply:
        headers = self.dialect.headers(self.stamp, 0) | self.dialect.error_headers(problem)
        body = self.dialect.error_body(problem, self.stamp)
        return WholeReply(status=problem.status, headers=headers, body=body, settings=self.desk.settings)

    def json(self) -> dict[str, Any]:
        """Return the body; raise the 400 of one that is no JSON object."""
        try:
            read = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            read = None
        if not isinstance(read, dict):
            raise Problem(400, "We could not parse the JSON body of your request.")
        return read

    def dated(self, model: Any) -> str:
        """Return the dated name of *model*; raise the problem of an unknown one."""
        if not isinstance(model, str) or not model:
            raise Problem(400, "you must provide a model parameter")
        name = catalogue.dated_name(model, self.desk.models_of(self.dialect))
        if name is None:
            raise self._unknown(model)
        return name

    def _unknown(self, model: str) -> Problem:
        if self.path == Responses.path:
            message = f"The requested model '{model}' does not exist."
            return Problem(400, message, code="model_not_found", param="model")
        return self.dialect.unknown_model(model)

    def met(self, model: str) -> Fault | None:
        """Return the fault that this request meets, if any; raise it where it is an error status."""
        fault = self.desk.script.take_fault(model)
        if fault is None or fault.kind != "status":
            return fault
        message, code = self.dialect.fault_message(fault.status)
        raise Problem(
            fault.status,
            fault.message or message,
            code=fault.code or code,
            retry_after_seconds=fault.retry_after_seconds,
        )


def build_app(desk: Desk) -> ASGIApp:
    """Return the application that serves every endpoint from *desk*."""
    speaking: tuple[ModelEndpoint, ...] = (
        ChatCompletions(),
        Responses(desk.store),
        Completions(),
        Messages(),
    )
    looking: tuple[LookupEndpoint, ...] = (Embeddings(), Moderations(), CountTokens())
    routes = [_route(desk, endpoint.path, endpoint.dialect, _speaker(endpoint)) for endpoint in speaking]
    routes += [_route(desk, endpoint.path, endpoint.dialect, _finder(endpoint)) for endpoint in looking]
    listing = [
        _route(desk, path, None, answer, methods=("GET",))
        for path, answer in (("/v1/models", _list_models), ("/v1/models/{model}", _show_model))
    ]
    anything = _route(
        desk, "/{path:path}", None, _unknown_path, methods=("GET", "POST", "PUT", "DELETE", "PATCH")
    )
    return Starlette(routes=[*routes, *listing, anything])


def _route(
    desk: Desk,
    path: str,
    dialect: Dialect | None,
    answer: Callable[[_Exchange, Request], WholeReply | StreamedReply],
    methods: tuple[str, ...] = ("POST",),
) -> Route:
    """Return a route that records the request, checks its caller and says in its dialect what *answer* raises."""

    async def serve(request: Request) -> Any:
        body = await request.body()
        headers = dict(request.headers)
        desk.requests.add(_received(request, headers, body))
        stamp = Stamp(body, next(desk.numbers))
        spoken = dialect or (ANTHROPIC if "anthropic-version" in headers else OPENAI)
        exchange = _Exchange(
            desk=desk, dialect=spoken, path=request.url.path, headers=headers, body=body, stamp=stamp
        )
        try:
            spoken.check_caller(headers)
            return answer(exchange, request)
        except Problem as problem:
            return exchange.refusal(problem)

    return Route(path, serve, methods=list(methods))


def _received(request: Request, headers: Mapping[str, str], body: bytes) -> ReceivedRequest:
    url = request.url
    return ReceivedRequest(method=request.method, path=url.path, query=url.query, headers=headers, body=body)


def _speaker(endpoint: ModelEndpoint) -> Callable[[_Exchange, Request], WholeReply | StreamedReply]:
    """Return what answers with a model's reply."""

    def speak(exchange: _Exchange, _request: Request) -> WholeReply | StreamedReply:
        desk = exchange.desk
        with _reading():
            asked = endpoint.read(exchange.json(), len(exchange.body))
        model = exchange.dated(asked.model)
        fault = exchange.met(asked.model)
        if fault and (fault.kind == "drop" or (fault.kind == "error_event" and not asked.stream)):
            return _unanswered(exchange, fault)
        reply = desk.script.take_reply(asked)
        choices = choices_of(reply, asked)
        answer = Answer(
            asked=asked,
            choices=choices,
            usage=usage_of(reply, choices, asked),
            model=model,
            stamp=exchange.stamp,
            reports_usage=not (fault and fault.kind == "no_usage"),
        )
        return (
            _streamed(exchange, endpoint, answer, fault)
            if asked.stream
            else _spoken(exchange, endpoint, answer, fault)
        )

    return speak


@contextmanager
def _reading() -> Iterator[None]:
    """Answer 400 to a value of the wrong type, wherever it stands: it is the caller's fault.

    Raises:
        Problem: something cannot be read.
    """
    try:
        yield
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        message = f"Invalid type for a parameter ({type(error).__name__})."
        raise Problem(400, message, code="invalid_type") from error


def _unanswered(exchange: _Exchange, fault: Fault) -> WholeReply:
    if fault.kind == "drop":
        return exchange.whole(b"", fault=fault)
    message, code = exchange.dialect.fault_message(fault.status)
    return exchange.refusal(Problem(fault.status, fault.message or message, code=code))


def _spoken(exchange: _Exchange, endpoint: ModelEndpoint, answer: Answer, fault: Fault | None) -> WholeReply:
    line = exchange.desk.bill.open(answer.model, endpoint.path, answer.usage)
    line.finished = fault is None or fault.kind != "cut"
    body = orjson.dumps(endpoint.whole(answer))
    return exchange.whole(body, input_tokens=answer.asked.input_tokens, fault=fault)


def _streamed(
    exchange: _Exchange, endpoint: ModelEndpoint, answer: Answer, fault: Fault | None
) -> StreamedReply:
    usage = answer.usage
    known = Usage(
        uncached_input_tokens=usage.uncached_input_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        cache_creation_input_tokens=usage.cache_creation_input_tokens,
    )
    return StreamedReply(
        headers=exchange.dialect.headers(exchange.stamp, answer.asked.input_tokens),
        events=endpoint.events(answer),
        endpoint=endpoint,
        bill=exchange.desk.bill,
        line=exchange.desk.bill.open(answer.model, endpoint.path, known),
        settings=exchange.desk.settings,
        fault=fault,
    )


def _finder(endpoint: LookupEndpoint) -> Callable[[_Exchange, Request], WholeReply]:
    """Return what answers with a result that no model speaks."""

    def find(exchange: _Exchange, _request: Request) -> WholeReply:
        body = exchange.json()
        asked_model = body.get("model") or (
            "omni-moderation-latest" if endpoint.path == Moderations.path else None
        )
        model = exchange.dated(asked_model)
        fault = exchange.met(str(asked_model))
        if fault and fault.kind == "error_event":
            return _unanswered(exchange, fault)
        with _reading():
            found = endpoint.find(body, len(exchange.body), model, exchange.stamp)
        if fault and fault.kind == "no_usage":
            found.body.pop("usage", None)
        if found.usage is not None and not (fault and fault.kind == "drop"):
            exchange.desk.bill.open(model, endpoint.path, found.usage).finished = True
        return exchange.whole(orjson.dumps(found.body), fault=fault)

    return find


def _list_models(exchange: _Exchange, _request: Request) -> WholeReply:
    models = exchange.desk.models_of(exchange.dialect)
    shape = catalogue.openai_models if exchange.dialect.name == "openai" else catalogue.anthropic_models
    return exchange.whole(orjson.dumps(shape(models)))


def _show_model(exchange: _Exchange, request: Request) -> WholeReply:
    name = exchange.dated(request.path_params["model"])
    shape = catalogue.openai_model if exchange.dialect.name == "openai" else catalogue.anthropic_model
    return exchange.whole(orjson.dumps(shape(name)))


def _unknown_path(exchange: _Exchange, request: Request) -> WholeReply:
    if exchange.dialect.name == "anthropic":
        raise Problem(404, "Not found")
    raise Problem(404, f"Invalid URL ({request.method} {request.url.path})")
