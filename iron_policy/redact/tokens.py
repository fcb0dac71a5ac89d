"""The stand-ins that this project writes into texts in place of values.

Owns their shapes and how they are derived: keyed, deterministic, so that the same value gives the same bytes in
every process that shares the key and providers' prompt caches keep working. Remembers nothing.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import b32encode
from typing import Final

TOKEN_LENGTH: Final = 8
"""Characters of a token's digest: 40 bits. The vault lengthens it where two values meet."""

LONGEST_DIGEST: Final = 32
TOKEN: Final = re.compile(rf"<[A-Z][A-Z0-9_]{{0,63}}_[a-z2-7]{{{TOKEN_LENGTH},{LONGEST_DIGEST}}}>")
"""Every token, of whatever vault."""

TOKEN_START: Final = re.compile(rf"<(?:[A-Z][A-Z0-9_]{{0,64}}[a-z2-7]{{0,{LONGEST_DIGEST}}})?")
"""What a token can begin with."""

_LETTERS: Final = dict(zip("234567", "aeiouy", strict=True))
"""What a digest begins with in place of a digit: behind the underscore, an account's number may begin with one, and
scanners would follow each token that does."""

_HASH_LENGTH: Final = 12
_KEPT: Final = 4


def token(key: bytes, kind: str, value: str, length: int = TOKEN_LENGTH) -> str:
    """Return the stand-in of *value*, such as ``<EMAIL_k7f2q9ab>``.

    Args:
        key: secret; whoever has it can test guesses.
        kind: what the value is.
        value: as it stood in the text.
        length: characters of the digest, at most 32.
    """
    digest = b32encode(_digest(key, kind, value)).decode().lower()
    return f"<{kind}_{_LETTERS.get(digest[0], digest[0])}{digest[1:length]}>"


def hashed(key: bytes, kind: str, value: str) -> str:
    """Return a digest that stands for *value* and that nobody can turn back, such as ``[EMAIL_sha256:0f…]``."""
    return f"[{kind}_sha256:{_digest(key, kind, value).hex()[:_HASH_LENGTH]}]"


def redacted(kind: str) -> str:
    """Return what says only that something of *kind* stood here."""
    return f"[REDACTED_{kind}]"


def masked(kind: str, value: str) -> str:
    """Return *value* with stars for all but its last four characters, or a mail address's first and its domain.

    A value of eight characters or fewer is starred whole.
    """
    if kind == "EMAIL" and "@" in value:
        local, _, domain = value.rpartition("@")
        return f"{local[:1]}{'*' * max(len(local) - 1, 3)}@{domain}"
    kept = _KEPT if len(value) > 2 * _KEPT else 0
    return "*" * (len(value) - kept) + (value[-kept:] if kept else "")


def unescaped(piece: str) -> str:
    """Return what a piece of a JSON string says; *piece* itself where it is none."""
    if "\\" not in piece:
        return piece
    try:
        return str(json.loads(f'"{piece}"', strict=False))
    except ValueError:
        return piece


def escaped(value: str) -> str:
    """Return *value* as it stands inside a JSON string, without the quotes."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _digest(key: bytes, kind: str, value: str) -> bytes:
    return hmac.digest(key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), "sha256")
