"""``IronEmbeddings``: any LangChain embeddings, with every text that is embedded held to a policy.

Usage::

    from langchain_core.vectorstores import InMemoryVectorStore
    from iron_adapters.langchain import IronEmbeddings

    embeddings = IronEmbeddings(model="openai:text-embedding-3-small", check_embedding_ctx_length=False)
    store = InMemoryVectorStore(embeddings)
    store.add_texts(["Jane's address is jane@example.com"])  # embedded as <EMAIL_...>

LangChain has no callbacks for embeddings, so nothing else of it can govern them. What is embedded is the text as the
policy rewrites it, for documents and queries alike: the same value has the same stand-in, so that they still meet.
LangChain's embeddings report no usage; what they cost is counted from the texts. One call is one charge, into however many
requests it is split.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings
from pydantic import BaseModel

from iron_adapters.json_copies import copied
from iron_adapters.langchain.by_name import embeddings_by_name
from iron_adapters.langchain.messages import refuse_half_characters
from iron_adapters.marks import claimed, is_claimed
from iron_adapters.resolve import Governor
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wrapped_calls import charged_by_its_texts
from iron_policy.exceptions import ContentBlocked
from iron_policy.messages import ModelRequest, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from iron_adapters.resolve import PolicyLike

_NAMES = ("model", "model_name", "model_id", "deployment")
_SETTINGS = "model_kwargs"
"""The field that holds what LangChain's embeddings send beside the texts."""
_PROVIDERS = {"langchain_openai": "openai"}


class IronEmbeddings(Embeddings):
    """Hold every text that is embedded to a policy.

    Args:
        model: the model's name, as ``init_embeddings`` takes it, such as ``openai:text-embedding-3-small``.
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.
        wrapped: embeddings to hold, instead of some by name.
        kwargs: what the embeddings take besides.

    Raises:
        PolicyError: *policy* is no policy.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        policy: PolicyLike = None,
        wrapped: Embeddings | None = None,
        **kwargs: Any,
    ) -> None:
        self._governor = Governor(policy)
        self.wrapped = embeddings_by_name(model, kwargs) if wrapped is None else wrapped

    @classmethod
    def wrap(cls, embeddings: Embeddings, policy: PolicyLike = None) -> IronEmbeddings:
        """Return *embeddings*, governed.

        Raises:
            TypeError: *embeddings* are none.
            PolicyError: *policy* is no policy.
        """
        if not isinstance(embeddings, Embeddings):
            raise TypeError(f"wrap() takes Embeddings, not {type(embeddings).__name__}")
        return cls(wrapped=embeddings, policy=policy)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "wrapped":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.wrapped, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> IronEmbeddings:
        twin = copy.copy(self)  # it shares its budgets
        twin.wrapped = copy.deepcopy(self.wrapped, memo)
        return twin

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed documents.

        Raises:
            PolicyDenied, WireError: nothing was sent.
        """
        with self._admitted(texts) as (embeddings, admitted):
            return embeddings.embed_documents(admitted)

    def embed_query(self, text: str) -> list[float]:
        """Embed a query.

        Raises:
            PolicyDenied, WireError: nothing was sent.
        """
        with self._admitted([text]) as (embeddings, admitted):
            return embeddings.embed_query(admitted[0])

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed documents.

        Raises:
            PolicyDenied, WireError: nothing was sent.
        """
        with self._admitted(texts) as (embeddings, admitted):
            return await embeddings.aembed_documents(admitted)

    async def aembed_query(self, text: str) -> list[float]:
        """Embed a query.

        Raises:
            PolicyDenied, WireError: nothing was sent.
        """
        with self._admitted([text]) as (embeddings, admitted):
            return await embeddings.aembed_query(admitted[0])

    @contextmanager
    def _admitted(self, texts: Sequence[str]) -> Iterator[tuple[Embeddings, list[str]]]:
        """Yield the embeddings and *texts* as they may be sent; charge the call when the block ends."""
        if is_claimed(self._governor.explicit_engine):
            yield self.wrapped, list(texts)
            return
        engine, scope = self._governor.engine_and_scope()
        settings = _settings_of(self.wrapped)
        listed = JsonTexts()
        listed.walk(settings, _SETTINGS, "user", _SETTINGS)
        refuse_half_characters([*texts, *(text.text for text in listed.texts)])
        call = engine.admit(self._request(texts, settings[_SETTINGS], listed.texts), scope=scope)
        with charged_by_its_texts(call):
            embeddings, rewritten = self.wrapped, call.texts
            if rewritten is not None:
                if listed.rewrite(rewritten[len(texts) :]):
                    embeddings = _with_settings(self.wrapped, settings)
                texts = rewritten[: len(texts)]
            with claimed(engine, scope):
                yield embeddings, list(texts)

    def _request(
        self, texts: Sequence[str], settings: Mapping[str, Any], in_settings: Sequence[Text]
    ) -> ModelRequest:
        package = type(self.wrapped).__module__.partition(".")[0]
        named = (settings.get("model"), *(getattr(self.wrapped, name, None) for name in _NAMES))
        embedded = (Text(text, "document", f"input[{index}]") for index, text in enumerate(texts))
        return ModelRequest(
            provider_name=_PROVIDERS.get(package, package.removeprefix("langchain_")),
            operation_name="embeddings",
            model=next((name for name in named if isinstance(name, str)), type(self.wrapped).__name__),
            texts=(*embedded, *in_settings),
            parameter_names=tuple(settings),
            input_tokens_bound=sum(len(text.encode()) + 1 for text in texts),
        )


def _settings_of(embeddings: Embeddings) -> dict[str, Any]:
    """Return a copy of what the embeddings add to each of their requests, under the field's own name."""
    given = getattr(embeddings, _SETTINGS, None)
    return {_SETTINGS: copied(given) if isinstance(given, dict) else {}}


def _with_settings(embeddings: Embeddings, settings: Mapping[str, Any]) -> Embeddings:
    """Return a twin of *embeddings* that adds *settings*.

    Raises:
        ContentBlocked: they cannot be altered, and hold what the policy rewrites.
    """
    if not isinstance(embeddings, BaseModel):
        raise ContentBlocked(f"{_SETTINGS}: set on the embeddings, holds what the policy rewrites")
    return embeddings.model_copy(update=settings)
