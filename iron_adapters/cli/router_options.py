"""What ``iron-runtime --mode=router`` is told: its options, and what it takes from the environment.

Owns their reading and what is wrong with them. The environment is passed in, and read nowhere else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from iron_adapters.router.doors import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from iron_policy.document import Policy

TOKEN_VARIABLE: Final = "IRON_RUNTIME_TOKEN"  # noqa: S105 - its name
_SHORTEST_TOKEN: Final = 16
_MEBIBYTE: Final = 1024 * 1024


class CannotServe(ValueError):  # noqa: N818 - what it tells
    """The router is not started; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterOptions:
    """The options of the command line, as they are given."""

    policy: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    token: str | None = None
    token_file: Path | None = None
    budget: str | None = None
    max_body_mb: int = 64
    grace_seconds: int = 30
    log_json: bool = False
    as_json: bool = False

    def __repr__(self) -> str:
        return f"RouterOptions(host={self.host!r}, port={self.port}, workers={self.workers})"

    @property
    def most_body_bytes(self) -> int:
        """The size of the largest request."""
        return self.max_body_mb * _MEBIBYTE

    def token_from(self, environment: Mapping[str, str], *, default: str | None = None) -> str | None:
        """Return what callers need as their API key, else the *default*; ``None`` where any will do.

        Raises:
            CannotServe: it is none, there are two, or the router would be open to a network without one.
        """
        if self.token is not None and self.token_file is not None:
            raise CannotServe("--token and --token-file: give one of them")
        token, where = environment.get(TOKEN_VARIABLE) or default, TOKEN_VARIABLE
        if self.token is not None:
            token, where = self.token, "--token"
        elif self.token_file is not None:
            token, where = _content(self.token_file), "--token-file"
        if token is not None and not _can_be_token(token):
            raise CannotServe(
                f"{where}: a token is printable ASCII without spaces; make one: openssl rand -hex 24"
            )
        if not is_loopback(self.host):
            _refuse_open(self.host, where, token)
        return token

    def refuse_divided(self, policy: Policy) -> None:
        """Refuse several workers where something is counted that each would count for itself.

        Raises:
            CannotServe: naming it.
        """
        if self.workers > 1 and not hasattr(os, "fork"):
            raise CannotServe(f"--workers={self.workers}: this system cannot fork; use --workers=1")
        counted = {"--budget": self.budget is not None, "budgets": policy.budgets, "limits": policy.limits}
        names = " and ".join(name for name, is_there in counted.items() if is_there)
        if self.workers > 1 and names:
            raise CannotServe(
                f"--workers={self.workers}: {names} would hold for each worker alone, so {self.workers} times as much "
                f"could be used: sharing them needs a shared store, which this version has not. Use --workers=1, or "
                f"leave {names} out"
            )


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CannotServe(f"--token-file: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CannotServe(f"--token-file: {file} is no text in UTF-8") from None


def _can_be_token(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


def _refuse_open(host: str, where: str, token: str | None) -> None:
    if token is None:
        raise CannotServe(
            f"--host={host}: others than this machine could call with your keys; set a token that callers need "
            f"({TOKEN_VARIABLE} or --token-file), or leave --host at 127.0.0.1"
        )
    if len(token) < _SHORTEST_TOKEN:
        raise CannotServe(
            f"{where}: with --host={host}, a token has {_SHORTEST_TOKEN} characters or more; make one: openssl rand -hex 24"
        )
