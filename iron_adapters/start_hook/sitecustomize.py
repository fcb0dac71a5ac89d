"""Python imports this module as it starts, because ``iron-runtime run`` puts its directory on ``PYTHONPATH``.

Owns the one decision that must not be left out: a Python that cannot be governed does not run the program. Then it
leaves ``sys.path`` and gives way to the ``sitecustomize`` that would have been imported without it. It is written so
that any Python, however old, comes as far as the refusal.
"""

# ruff: noqa: INP001 - the directory is put on PYTHONPATH; a package is what it must not be
import os
import sys
from importlib import import_module

_CANNOT_BE_GOVERNED = 78  # EX_CONFIG of sysexits.h


def _begin():  # type: ignore[no-untyped-def] # noqa: ANN202 - read by Pythons that know no annotations
    try:
        from iron_adapters.governed_start import begin

        begin()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the program must not run ungoverned
        os.write(2, _refusal(error).encode("utf-8", "replace"))  # type: ignore[no-untyped-call]
        os._exit(_CANNOT_BE_GOVERNED)


def _refusal(error):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as above
    reason = "{}: {}".format(type(error).__name__, error)  # noqa: UP032 - as above
    if getattr(error, "name", None) == "iron_adapters":
        reason = "iron-adapters is not installed in its environment"
    return "iron-runtime: {} cannot be governed, so the program is not started: {}\n".format(  # noqa: UP032 - as above
        sys.executable, reason
    )


def _give_way():  # type: ignore[no-untyped-def] # noqa: ANN202 - as above
    own, here = sys.modules["sitecustomize"], os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - as above
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]  # noqa: PTH100 - as above
    del sys.modules["sitecustomize"]
    try:
        import_module("sitecustomize")  # the user's own, wherever it is next on the path
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", own)


if __name__ == "sitecustomize":
    _begin()  # type: ignore[no-untyped-call]
    _give_way()  # type: ignore[no-untyped-call]
