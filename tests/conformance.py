"""Writes ``docs/conformance.md`` from what the adapters' tests have just proved.

``pytest --conformance FILE`` adds this run's outcomes to a JSON file; ``python tests/conformance.py FILE`` makes the
document of it. A row is a way of calling, a column a verdict; a cell counts the proofs that passed, or says why there
are none.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "conformance.md"
HEAD = """# Conformance

Made by `make conformance` from the tests themselves: what each adapter does in each style of calling. A number counts the
cases that passed; `not covered` cells give the reason that the skipped test gives. The places of texts on the wire are in
[coverage.md](coverage.md).
"""
FRAMEWORKS = {"langchain": "LangChain", "crewai": "CrewAI", "llama_index": "LlamaIndex"}


class Recorder:
    """A pytest plugin that remembers the outcome of every parametrized test of an adapter."""

    def __init__(self, path):
        self._path = path
        self._outcomes = {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.partition("/test_")[2]
        framework = next((key for key in FRAMEWORKS if name.startswith(f"{key}_matrix")), None)
        if framework and "[" in name and (report.when == "call" or report.skipped):
            reason = str(report.longrepr[2]) if report.skipped and isinstance(report.longrepr, tuple) else ""
            self._outcomes[name] = [framework, report.outcome, reason]

    def pytest_sessionfinish(self):
        known = json.loads(self._path.read_text()) if self._path.is_file() else {}
        self._path.write_text(json.dumps({**known, **self._outcomes}, indent=0, sort_keys=True))


def tables(outcomes):
    """Yield the lines of the document below its head."""
    by_framework = defaultdict(lambda: defaultdict(list))
    for name, (framework, outcome, reason) in outcomes.items():
        test, _, case = name.partition("::")[2].rstrip("]").partition("[")
        by_framework[framework][test].append((case, outcome, reason))
    for framework, title in FRAMEWORKS.items():
        if framework in by_framework:
            yield from (
                "",
                f"## {title}",
                "",
                "| what is proved | cases | passed | not covered, and why |",
                "|---|---|---|---|",
            )
            for test, cases in sorted(by_framework[framework].items()):
                passed = sum(outcome == "passed" for _, outcome, _ in cases)
                left = sorted(
                    {
                        f"{case}: {reason.removeprefix('Skipped: ')}"
                        for case, outcome, reason in cases
                        if outcome == "skipped"
                    }
                )
                listed = ", ".join(sorted(case for case, outcome, _ in cases if outcome == "passed"))
                yield f"| {test.removeprefix('test_').replace('_', ' ')} | {listed} | {passed} of {len(cases)} | {'; '.join(left)} |"


if __name__ == "__main__":
    DOCUMENT.write_text(HEAD + "\n".join(tables(json.loads(Path(sys.argv[1]).read_text()))) + "\n")
