"""The command ``iron-runtime``.

Owns the way in, and what is said where typer and rich are missing. The commands stand beside it, one to a file.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line in ``sys.argv``, and exit with its code."""
    try:
        from iron_adapters.cli.commands import app

        app()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in {"typer", "rich", "click"}:
            raise
        sys.exit(f'iron-runtime needs {missing}: pip install "iron-adapters[cli]"')
