"""What a type checker knows of runs and of a governed process. Checked by pyright, not run."""

from typing import assert_type

from iron_adapters import carry, install, uninstall
from iron_adapters.installation import Installation


def ask(question: str, times: int = 1) -> str:
    return question * times


assert_type(carry(ask)("hello", times=2), str)
assert_type(install({"mode": "monitor"}), Installation)
with install("policy.yaml") as installation:
    assert_type(installation.not_covered, tuple[str, ...])
uninstall()

carry(ask)(1)  # pyright: ignore[reportArgumentType] - the arguments stay checked
