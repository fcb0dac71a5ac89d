"""Precision and recall on the labelled texts, where these are at hand."""

import base64
import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from iron_policy.detect import KINDS, Finding, Scanner

LABELLED = Path(__file__).parents[2] / ".." / "shared" / "safety" / "dev.jsonl.gz"
SCANNER = Scanner(KINDS)

pytestmark = pytest.mark.skipif(
    not LABELLED.exists(), reason="the labelled texts are not part of the repository"
)

F1 = {
    "EMAIL": 0.99,
    "CREDIT_CARD": 0.99,
    "US_SSN": 0.99,
    "IBAN": 0.99,
    "IP_ADDRESS": 0.99,
    "MAC_ADDRESS": 0.99,
    "CRYPTO": 0.99,
    "PHONE": 0.95,
}


def _family(kind: str) -> str:
    return "SECRET" if KINDS.get(kind) == "secrets" else kind


def _shared(finding: Finding, span: dict) -> int:
    return max(0, min(finding.end, span["end"]) - max(finding.start, span["start"]))


def _matches(finding: Finding, span: dict) -> bool:
    family = _family(span["type"])
    shared = 2 * _shared(finding, span)
    return (
        _family(finding.kind) == family
        and shared >= span["end"] - span["start"]
        and (family == "SECRET" or shared >= finding.end - finding.start)
    )


class Score:
    """What the scanner makes of the whole set."""

    def __init__(self, records: list[dict]) -> None:
        self.hits, self.misses, self.false, self.other = Counter(), Counter(), Counter(), Counter()
        for record in records:
            text = base64.b64decode(record["text_b64"]).decode()
            findings = [f for f in SCANNER.scan(text) if f.kind not in {"INJECTION", "URL"}]
            self._add(record, findings)

    def _add(self, record: dict, findings: list[Finding]) -> None:
        if record.get("ambiguous") or record.get("near_miss"):
            return
        if record["negative"]:
            self.other["clean"] += 1
            self.other["clean flagged"] += bool(findings)
            self.other["clean with secrets"] += any(_family(f.kind) == "SECRET" for f in findings)
            self.false.update(_family(f.kind) for f in findings)
            return
        for span in record["spans"]:
            hit = any(_matches(finding, span) for finding in findings)
            self._count(record, _family(span["type"]), hit=hit)
        if not record.get("evasion"):
            known = [*record["spans"], *(record.get("other_spans") or [])]
            self.false.update(_family(f.kind) for f in findings if not any(_shared(f, s) for s in known))

    def _count(self, record: dict, family: str, *, hit: bool) -> None:
        if record.get("evasion"):
            self.other["evasion", hit] += 1
            return
        (self.hits if hit else self.misses)[family] += 1
        if family == "SECRET" and not record["source"].startswith("gitleaks"):
            self.other["independent", hit] += 1

    def precision(self, kind: str) -> float:
        """Return the share of findings that are right."""
        return self.hits[kind] / (self.hits[kind] + self.false[kind])

    def recall(self, kind: str) -> float:
        """Return the share of values that are found."""
        return self.hits[kind] / (self.hits[kind] + self.misses[kind])

    def share(self, what: str) -> float:
        """Return the share of hits among what is counted apart."""
        return self.other[what, True] / (self.other[what, True] + self.other[what, False])


@pytest.fixture(scope="module")
def score():
    with gzip.open(LABELLED, "rt") as lines:
        return Score([json.loads(line) for line in lines])


@pytest.mark.parametrize(("kind", "least"), F1.items())
def test_personal_data_is_found_and_little_else(score, kind, least):
    precision, recall = score.precision(kind), score.recall(kind)
    assert 2 * precision * recall / (precision + recall) >= least


def test_secrets_are_found_and_nothing_else(score):
    assert score.precision("SECRET") >= 0.99
    assert score.recall("SECRET") >= 0.95
    assert score.share("independent") >= 0.95


def test_clean_texts_pass(score):
    assert score.other["clean with secrets"] == 0
    assert score.other["clean flagged"] <= 0.005 * score.other["clean"]


def test_most_evasions_are_seen_through(score):
    assert score.share("evasion") >= 0.75
