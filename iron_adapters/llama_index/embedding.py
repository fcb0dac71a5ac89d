# ruff: noqa: SLF001 - an embedding model's protected methods are its protocol
"""``IronEmbedding``: any LlamaIndex embedding model, with every text that is embedded held to a policy.

Usage::

    from iron_adapters.llama_index import IronEmbedding

    Settings.embed_model = IronEmbedding(model="text-embedding-3-small", policy={"budgets": [...]})
    index = VectorStoreIndex(nodes, embed_model=IronEmbedding.wrap(any_embedding, policy="policy.yaml"))

What is embedded is the text as the policy rewrites it, for documents and queries alike: the same value has the same
stand-in, so that they still meet. LlamaIndex's embeddings report no usage; what they cost is counted from the texts. One
call is one charge, into however many requests it is split.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr

from iron_adapters.llama_index.by_name import embedding_by_name
from iron_adapters.llama_index.marking import embedding_request
from iron_adapters.llama_index.requests import provider_of_class
from iron_adapters.marks import claimed
from iron_adapters.resolve import Governor
from iron_adapters.wrapped_calls import charged_by_its_texts, next_to_act
from iron_policy.messages import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from iron_adapters.resolve import PolicyLike

_COPIED_UP = (
    "model_name", "embed_batch_size", "callback_manager", "num_workers", "embeddings_cache", "rate_limiter",
)  # fmt: skip


class IronEmbedding(BaseEmbedding):
    """Hold every text that is embedded to a policy.

    Args:
        model: the name of a model of OpenAI's, such as ``text-embedding-3-small``.
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.
        wrapped: an embedding model to hold, instead of one by name.
        kwargs: what the model takes besides.

    Raises:
        PolicyError: *policy* is no policy.
        TypeError: neither *model* nor *wrapped* is given.
    """

    wrapped: BaseEmbedding = Field(exclude=True)
    _governor: Governor = PrivateAttr()

    def __init__(
        self,
        model: str | None = None,
        *,
        policy: PolicyLike = None,
        wrapped: BaseEmbedding | None = None,
        **kwargs: Any,
    ) -> None:
        governor = Governor(policy)
        if wrapped is None:
            if model is None:
                raise TypeError("IronEmbedding takes a model's name, or wrapped=")
            wrapped = embedding_by_name(model, kwargs)
        super().__init__(wrapped=wrapped, **{name: getattr(wrapped, name) for name in _COPIED_UP})
        self._governor = governor

    @classmethod
    def wrap(cls, embedding: BaseEmbedding, policy: PolicyLike = None) -> IronEmbedding:
        """Return *embedding*, governed.

        Raises:
            TypeError: *embedding* is no embedding model.
            PolicyError: *policy* is no policy.
        """
        if not isinstance(embedding, BaseEmbedding):
            raise TypeError(f"wrap() takes a BaseEmbedding, not {type(embedding).__name__}")
        return cls(wrapped=embedding, policy=policy)

    @classmethod
    def class_name(cls) -> str:
        """Return the name by which callbacks know an embedding model that is held."""
        return "IronEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        with self._admitted([query]) as texts:
            return self.wrapped._get_query_embedding(texts[0])

    async def _aget_query_embedding(self, query: str) -> list[float]:
        with self._admitted([query]) as texts:
            return await self.wrapped._aget_query_embedding(texts[0])

    def _get_text_embedding(self, text: str) -> list[float]:
        with self._admitted([text]) as texts:
            return self.wrapped._get_text_embedding(texts[0])

    async def _aget_text_embedding(self, text: str) -> list[float]:
        with self._admitted([text]) as texts:
            return await self.wrapped._aget_text_embedding(texts[0])

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        with self._admitted(texts) as admitted_texts:
            return self.wrapped._get_text_embeddings(admitted_texts)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        with self._admitted(texts) as admitted_texts:
            return await self.wrapped._aget_text_embeddings(admitted_texts)

    @contextmanager
    def _admitted(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Yield *texts* as they may be sent, by every policy that applies; charge the call when the block ends."""
        provider_name = provider_of_class(type(self.wrapped).__module__)
        request = ModelRequest(
            provider_name=provider_name, operation_name="embeddings", model=self.model_name
        )
        with ExitStack() as stack:
            while (acting := next_to_act(self._governor)) is not None:
                engine, scope = acting
                call = engine.admit(embedding_request(request, texts), scope=scope)
                stack.enter_context(charged_by_its_texts(call))
                stack.enter_context(claimed(engine, scope))
                texts = call.texts or texts
            yield list(texts)
