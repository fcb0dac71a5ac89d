"""The published table is the one that the tests prove."""

from __future__ import annotations

import os
from pathlib import Path

from matrix import table

DOCUMENT = Path(__file__).parents[2] / "docs" / "coverage.md"
HEAD = """# What is covered on the wire

Made by `make matrix` from the tests themselves. A number counts the ways in which the tests prove the cell, through the
official SDKs and over real sockets: whole and streamed, sync and async. `block` is proved by nothing having been sent.

"""


def test_the_document_says_what_is_proved():
    if os.environ.get("WRITE_DOCS"):
        DOCUMENT.write_text(HEAD + table())

    assert DOCUMENT.read_text() == HEAD + table(), "run `make matrix`"
