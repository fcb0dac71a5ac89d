"""How many examples Hypothesis tries: all of them in ``make slow``, a third where somebody waits."""

import os


def examples(most):
    """Return how many of at most *most* examples are tried now."""
    return most if os.environ.get("THOROUGH") == "1" else most // 3
