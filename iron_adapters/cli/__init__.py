"""The command ``iron-runtime``.

Owns the way in, and what is said where an extra is missing. The commands stand beside it, one to a file.
"""

from __future__ import annotations

import sys

from iron_adapters.cli.quick_start import without_collector

__all__ = ["main"]

_CLI = {"typer", "rich", "click"}
_ROUTER = {"uvicorn", "httptools", "pyreqwest", "aiohappyeyeballs"}


def main() -> None:
    """Run the command line in ``sys.argv``, and exit with its code."""
    try:
        with without_collector():
            from iron_adapters.cli.commands import app
        app()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _CLI:
            sys.exit(f'iron-runtime needs {missing}: pip install "iron-adapters[cli]"')
        if missing in _ROUTER:
            sys.exit(f'iron-runtime --mode=router needs {missing}: pip install "iron-adapters[cli,router]"')
        raise
