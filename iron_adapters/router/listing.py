"""The models that can be had here: what the upstreams list, as one list in the caller's dialect.

Owns the shapes of both providers' lists and their translation. What one upstream says to a caller of its own dialect
passes as it is; what the policy does not allow is not listed.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import orjson

from iron_adapters.router.faults import ProviderFault
from iron_adapters.router.headers import back, towards, without_key
from iron_adapters.router.problems import NotServed
from iron_adapters.router.reply import Answer
from iron_adapters.router.sending import problem_of, read_whole, refuse_redirect
from iron_policy.exceptions import IronError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from iron_adapters.providers import Dialect
    from iron_adapters.router.connections import Connections
    from iron_adapters.router.keys import Keys
    from iron_adapters.router.upstreams import Upstream, Upstreams
    from iron_policy.engine import PolicyEngine

_OK = range(200, 300)
_MOST_BYTES = 16 * 1024 * 1024
_JSON = [(b"content-type", b"application/json")]


class AskModels(NamedTuple):
    """What a caller asks about models."""

    dialect: Dialect
    upstream: str | None
    """The upstream that the path names, if it names one."""
    model: str
    """One model's name; empty for all."""
    query: str
    headers: Mapping[str, str]
    offered: str | None


class Listing:
    """Answers what models there are."""

    def __init__(
        self, engine: PolicyEngine, upstreams: Upstreams, keys: Keys, connections: Connections
    ) -> None:
        self._engine, self._upstreams, self._keys, self._connections = engine, upstreams, keys, connections

    async def answer(self, ask: AskModels) -> Answer:
        """Return the models of every upstream that can be asked, or what is known of one.

        Raises:
            IronError: nobody could be asked.
        """
        if ask.model:
            return await self._one(ask)
        asked = self._asked(ask)
        found = await asyncio.gather(
            *(self._ask(each, "/models", ask) for each in asked), return_exceptions=True
        )
        told = [(each, one) for each, one in zip(asked, found, strict=True) if isinstance(one, Answer)]
        if (
            len(told) == len(asked) == 1
            and asked[0].dialect == ask.dialect
            and not self._engine.limits_models
        ):
            return told[0][1]
        lists = [_models(each, one) for each, one in told if one.status in _OK]
        if not lists:
            raise _why(found)
        allowed = [
            (each, model)
            for each, models in lists
            for model in models
            if self._engine.allows_model(model["id"])
        ]
        models = [
            model if each.dialect == ask.dialect else _in(ask.dialect, model, each) for each, model in allowed
        ]
        return Answer(200, _JSON, orjson.dumps(_list(models, ask.dialect)))

    async def _one(self, ask: AskModels) -> Answer:
        if not self._engine.allows_model(ask.model):
            raise NotServed(404, "model_not_found", f"the policy does not allow {ask.model[:100]!r}")
        upstream = self._upstreams.choose(ask.dialect, ask.model, ask.upstream)
        told = await self._ask(upstream, f"/models/{quote(ask.model, safe='')}", ask)
        if upstream.dialect == ask.dialect:
            return told
        if told.status not in _OK:
            raise NotServed(
                told.status,
                "model_not_found",
                f"{upstream.name!r} does not tell of this model ({told.status})",
            )
        return Answer(200, _JSON, orjson.dumps(_in(ask.dialect, _object(upstream, told.body), upstream)))

    def _asked(self, ask: AskModels) -> Sequence[Upstream]:
        if ask.upstream is not None:
            return [self._upstreams.named(ask.upstream)]
        return [each for each in self._upstreams if self._keys.has(each)]

    async def _ask(self, upstream: Upstream, path: str, ask: AskModels) -> Answer:
        same = upstream.dialect == ask.dialect
        query = ask.query if same else "limit=1000" if upstream.dialect == "anthropic" else ""
        headers = ask.headers if same else {}
        at, key = await self._keys.access_to(upstream, ask.offered)
        url = at.url(path, ask.model, query)
        try:
            client = self._connections.to(at)
            async with client.request("GET", url, towards(at, key, headers), b"") as response:
                refuse_redirect(response.status)
                body = await read_whole(response, _MOST_BYTES)
                return Answer(response.status, back(response.headers, key), without_key(body, key))
        except ProviderFault as fault:
            raise problem_of(fault, upstream.name) from None


def _why(found: Sequence[object]) -> IronError:
    """Return why nobody could be asked."""
    for one in found:
        if isinstance(one, IronError):
            return one
        if isinstance(one, BaseException):
            raise one
    return UpstreamError("no upstream lists its models: none has a key, or none answers")


def _models(upstream: Upstream, told: Answer) -> tuple[Upstream, list[dict[str, Any]]]:
    data = _object(upstream, told.body).get("data")
    models = data if isinstance(data, list) else []
    return upstream, [
        model for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)
    ]


def _object(upstream: Upstream, body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamError(f"{upstream.name!r} answered no JSON about its models") from None
    return document if isinstance(document, dict) else {}


def _in(dialect: Dialect, model: Mapping[str, Any], upstream: Upstream) -> dict[str, Any]:
    """Return what the other dialect says of *model*."""
    name = str(model.get("id", ""))
    if dialect == "openai":
        return {"id": name, "object": "model", "created": _seconds(model), "owned_by": upstream.name}
    created = datetime.fromtimestamp(_seconds(model), UTC).isoformat().replace("+00:00", "Z")
    return {"type": "model", "id": name, "display_name": name, "created_at": created}


def _seconds(model: Mapping[str, Any]) -> int:
    created = model.get("created")
    if isinstance(created, int):
        return created
    try:
        return int(datetime.fromisoformat(str(model.get("created_at"))).timestamp())
    except ValueError:
        return 0


def _list(models: list[dict[str, Any]], dialect: Dialect) -> dict[str, Any]:
    if dialect == "openai":
        return {"object": "list", "data": models}
    ends = (
        {"first_id": models[0]["id"], "last_id": models[-1]["id"]}
        if models
        else {"first_id": None, "last_id": None}
    )
    return {"data": models, "has_more": False, **ends}
