"""How the double behaves apart from what it says: pace, compression, the cutting of streams, known models.

Owns the knobs. They may be turned between requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from iron_adapters.testing.catalogue import ANTHROPIC_MODELS, OPENAI_MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

Compression: TypeAlias = Literal["best", "gzip", "br", "zstd"]
"""``best``: the first of zstd, br and gzip that the client accepts and that is installed."""


@dataclass(slots=True, kw_only=True)
class Settings:
    """The knobs of one double."""

    first_token_seconds: float = 0.0
    token_seconds: float = 0.0
    """Pause before every event of a stream that carries tokens, from the second on."""
    compression: Compression | None = None
    """``None`` sends every body as it is, whatever the client accepts."""
    keep_alive: bool = True
    """False closes every connection after its answer."""
    rechunk_seed: int | None = None
    """Where set, streams are cut at byte positions that depend on it alone."""
    openai_models: Mapping[str, str] = field(default_factory=lambda: dict(OPENAI_MODELS))
    anthropic_models: Mapping[str, str] = field(default_factory=lambda: dict(ANTHROPIC_MODELS))
    closing: bool = False
    """True once the server stops: whoever pauses, wakes."""
