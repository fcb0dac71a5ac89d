"""The start of a process that ``iron-runtime run`` or :class:`~iron_adapters.AgentRuntime` governs.

Called by ``start_hook/sitecustomize.py`` before the program's first line. Loading the engine, httpx and httpx2 takes
some 0.8 s, which a process that calls no model should not pay, and httpx loads ``ssl``, which gevent wants to patch
first. So this only waits, with the one import hook of this project, until the program itself imports httpx, httpx2
or us. What then fails fails that import: nothing can be sent through a library that did not load.

Every Python of a run loads this: it imports next to nothing.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

VARIABLE = "IRON_RUN"
"""The environment variable that names the run's folder."""
SETTINGS = "run.json"
"""The file in it that says what governs; while it is there, the run may go on."""
REPORT = ".report"
"""How the names of the files end that say what each process has done."""
_AWAITED = ("httpx", "httpx2", "iron_policy")


def begin() -> None:
    """Take this process into the run that the environment names.

    Raises:
        LookupError: the environment names none, or it is over.
        OSError: its folder is not ours to use.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise LookupError(f"{VARIABLE} has been taken out of its environment, and PYTHONPATH has not")
    if not os.path.exists(os.path.join(folder, SETTINGS)):  # noqa: PTH110, PTH118 - pathlib takes 5 ms to load
        raise LookupError("the run that it belongs to is over")
    _Started.folder, _Started.report = folder, new_report(folder)
    sys.meta_path.insert(0, _Awaiting())
    for name in _AWAITED:
        if name in sys.modules:  # a .pth file was faster
            _act(name)


def new_report(folder: str) -> str:
    """Return the name for the report of this process, which is there, and empty, from now on."""
    name = f"{os.getpid()}-{os.urandom(4).hex()}{REPORT}"
    path = os.path.join(folder, name)  # noqa: PTH118 - as above
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return name


class _Started:
    """What this process has been told."""

    folder: str
    report: str
    taken_up = False


class _Awaiting:
    """Finds what the other finders find, and acts once an awaited module has loaded."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if name not in _AWAITED:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if find is None or isinstance(finder, _Awaiting):
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Acting(spec.loader)  # type: ignore[assignment] # stands in for any loader
                return spec
        return None


class _Acting:
    """A loader that acts when it has loaded; the module never sees it."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._wrapped
        module.__loader__ = self._wrapped
        self._wrapped.exec_module(module)
        _act(module.__name__)


def _act(name: str) -> None:
    if not _Started.taken_up:
        # Set first: what is imported now may be awaited, too.
        _Started.taken_up = True
        try:
            import_module("iron_adapters.governed_process").take_up(_Started.folder, _Started.report)
        except BaseException:
            _Started.taken_up = False
            raise
    if name != "iron_policy":
        import_module("iron_adapters.installation").ensure_patched()
