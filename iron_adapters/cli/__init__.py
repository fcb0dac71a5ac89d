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
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich", "click"}:
            raise
        sys.exit(f'iron-runtime needs {error.name}: pip install "iron-adapters[cli]"')
    app()
