"""The memory of a run: which token stands for which value.

Owns the values for as long as the run lives, in memory only; nothing here is logged, pickled or shown. Knows no
findings and no policy.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NoReturn

from iron_policy.redact.tokens import TOKEN, TOKEN_LENGTH, escaped, hashed, token

if TYPE_CHECKING:
    import re


MOST_VALUES = 50_000
"""Values that one vault remembers, so that calls outside any run do not fill the memory."""


class Vault:
    """Gives out tokens and turns its own ones back; a token of another vault stays what it is.

    Any number of threads may use one.

    Args:
        key: what tokens are derived with; processes that share it give out equal tokens.
    """

    __slots__ = ("_key", "_lock", "_tokens", "_values")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._lock = Lock()
        self._values: dict[str, str] = {}
        self._tokens: dict[tuple[str, str], str] = {}

    def __bool__(self) -> bool:
        """Tell whether any token was given out, so that one may come back."""
        return bool(self._values)

    def token_for(self, kind: str, value: str) -> str:
        """Return the token that stands for *value*, and remember the value."""
        known = self._tokens.get((kind, value))
        if known is not None:
            return known
        with self._lock:
            length = TOKEN_LENGTH
            candidate = token(self._key, kind, value)
            while self._values.get(candidate, value) != value:
                length += 1
                candidate = token(self._key, kind, value, length)
            self._values[candidate] = value
            self._tokens.setdefault((kind, value), candidate)
            if len(self._tokens) > MOST_VALUES:
                self._forget_oldest()
            return candidate

    def _forget_oldest(self) -> None:
        """Make room. What was forgotten is learnt again by the next request that holds it, and gets the same token."""
        oldest = next(iter(self._tokens))
        self._values.pop(self._tokens.pop(oldest), None)

    def hash_for(self, kind: str, value: str) -> str:
        """Return the keyed digest that stands for *value* for good; nothing is remembered."""
        return hashed(self._key, kind, value)

    def restore(self, text: str, *, in_json: bool = False) -> str:
        """Return *text* with this vault's tokens turned back into values.

        Args:
            text: whatever a model wrote.
            in_json: True where *text* is a raw piece of JSON, so that values are escaped for it.
        """
        if "<" not in text or not self._values:
            return text

        def value(match: re.Match[str]) -> str:
            known = self._values.get(match.group())
            if known is None:
                return match.group()
            return escaped(known) if in_json else known

        return TOKEN.sub(value, text)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Vault of {len(self)} values>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: the values stay in this process."""
        raise TypeError("a Vault holds real values and cannot be pickled; share its key instead")
