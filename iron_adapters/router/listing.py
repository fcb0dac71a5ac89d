"""The models that can be had here: the lists of all upstreams as one, in the caller's dialect.

Owns the shapes of both providers' lists and their translation. What the policy does not allow is not listed.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from pyreqwest.exceptions import PyreqwestError

from iron_adapters.router.headers import towards
from iron_adapters.router.problems import NotServed
from iron_adapters.router.reply import Answer
from iron_adapters.router.sending import problem_of, read_whole, refuse_redirect, request_to
from iron_policy.exceptions import IronError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyreqwest.client import Client

    from iron_adapters.providers import Dialect
    from iron_adapters.router.keys import Keys
    from iron_adapters.router.upstreams import Upstream, Upstreams
    from iron_policy.engine import PolicyEngine

_OK = range(200, 300)
_MOST_BYTES = 16 * 1024 * 1024
_JSON = [(b"content-type", b"application/json")]


class Listing:
    """Answers what models there are."""

    def __init__(self, engine: PolicyEngine, upstreams: Upstreams, keys: Keys, client: Client) -> None:
        self._engine, self._upstreams, self._keys, self._client = engine, upstreams, keys, client

    async def all(self, dialect: Dialect, only: str | None, offered: str | None) -> Answer:
        """Return the models of every upstream that can be asked, or of the one named *only*.

        Raises:
            IronError: none of them could be asked.
        """
        asked = (
            [self._upstreams.named(only)]
            if only
            else [each for each in self._upstreams if self._asks(each, offered)]
        )
        found = await asyncio.gather(*(self._of(each, offered) for each in asked), return_exceptions=True)
        lists = [each for each in found if isinstance(each, list)]
        if not lists:
            raise next(
                (error for error in found if isinstance(error, IronError)),
                UpstreamError("no upstream can be asked for its models: none has a key"),
            )
        models = [model for each in lists for model in each if self._engine.allows_model(model["id"])]
        return Answer(200, _JSON, orjson.dumps(_list(models, dialect)))

    async def one(self, dialect: Dialect, only: str | None, model: str, offered: str | None) -> Answer:
        """Return the model *model*.

        Raises:
            IronError: it could not be asked for.
        """
        upstream = self._upstreams.choose(dialect, model, only)
        status, document = await self._ask(upstream, f"/models/{quote(model, safe='')}", offered)
        if status not in _OK:
            raise NotServed(
                status, "model_not_found", f"{upstream.name!r} does not tell of this model ({status})"
            )
        return Answer(200, _JSON, orjson.dumps(_in(dialect, _read(document, upstream))))

    def _asks(self, upstream: Upstream, offered: str | None) -> bool:
        return offered is not None or self._keys.has(upstream)

    async def _of(self, upstream: Upstream, offered: str | None) -> list[dict[str, Any]]:
        status, document = await self._ask(upstream, "/models", offered)
        models = document.get("data")
        if status not in _OK or not isinstance(models, list):
            raise UpstreamError(f"{upstream.name!r} does not list its models ({status})")
        return [_read(model, upstream) for model in models if isinstance(model, dict) and "id" in model]

    async def _ask(self, upstream: Upstream, path: str, offered: str | None) -> tuple[int, dict[str, Any]]:
        key = await self._keys.key_for(upstream, offered)
        query = "limit=1000" if upstream.dialect == "anthropic" and path == "/models" else ""
        url = upstream.url(path, "", query)
        try:
            async with request_to(self._client, "GET", url, towards(upstream, key, {}), b"") as response:
                refuse_redirect(response)
                document = orjson.loads(await read_whole(response, _MOST_BYTES))
        except PyreqwestError as error:
            raise problem_of(error) from None
        except orjson.JSONDecodeError:
            raise UpstreamError(f"{upstream.name!r} answered no JSON about its models") from None
        return response.status, document if isinstance(document, dict) else {}


def _read(model: dict[str, Any], upstream: Upstream) -> dict[str, Any]:
    """Return what both dialects say of a model."""
    created = model.get("created")
    if created is None and isinstance(written := model.get("created_at"), str):
        created = _seconds(written)
    return {
        "id": str(model.get("id", "")),
        "created": created if isinstance(created, int) else 0,
        "owned_by": str(model.get("owned_by") or upstream.name),
        "display_name": str(model.get("display_name") or model.get("id", "")),
    }


def _seconds(written: str) -> int:
    try:
        return int(datetime.fromisoformat(written).timestamp())
    except ValueError:
        return 0


def _in(dialect: Dialect, model: Mapping[str, Any]) -> dict[str, Any]:
    if dialect == "openai":
        return {
            "id": model["id"],
            "object": "model",
            "created": model["created"],
            "owned_by": model["owned_by"],
        }
    created = datetime.fromtimestamp(model["created"], UTC).isoformat().replace("+00:00", "Z")
    return {"type": "model", "id": model["id"], "display_name": model["display_name"], "created_at": created}


def _list(models: list[dict[str, Any]], dialect: Dialect) -> dict[str, Any]:
    data = [_in(dialect, model) for model in models]
    if dialect == "openai":
        return {"object": "list", "data": data}
    ends = (
        {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
        if data
        else {"first_id": None, "last_id": None}
    )
    return {"data": data, "has_more": False, **ends}
