"""Cassettes hold no credential, say where they come from, and belong to a test."""

import re

import httpx
import pytest
import yaml
from recording import CASSETTES, path_of, playing
from vcr.errors import CannotOverwriteExistingCassetteException

FILES = sorted(CASSETTES.rglob("*.yaml"))
CREDENTIALS = {
    "a provider's key": re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"),
    "a bearer token": re.compile(r"\bbearer\s+[\w.~+/-]{4,}", re.IGNORECASE),
    "a header that carries one": re.compile(
        r"^\s*(authorization|proxy-authorization|x-api-key|api-key|cookie|set-cookie|openai-organization"
        r"|openai-project|anthropic-organization-id)\s*:",
        re.IGNORECASE | re.MULTILINE,
    ),
    "a JSON web token": re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"),
    "an account": re.compile(r"\b(org|proj)[-_](?!scrubbed)[A-Za-z0-9]{16,}"),
    "a cloud key": re.compile(r"\b(AKIA[A-Z0-9]{16}|AIza[\w-]{30,}|gh[pousr]_\w{30,})"),
}


def recorded_test(path):
    """Return the name of the test function that a cassette belongs to, less class and parameters."""
    return re.split(r"[.-]", path.stem.removeprefix(path.stem.partition(".test_")[0] + "."))[0]


def credentials_in(text):
    return [what for what, pattern in CREDENTIALS.items() if pattern.search(text)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_cassette_holds_a_credential(path):
    assert credentials_in(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_cassette_says_where_when_and_with_what_it_was_recorded(path):
    cassette = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert re.fullmatch(r"double|(openai|anthropic)(\+openai)?", cassette["recorded_against"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", cassette["recorded_on"])
    assert cassette["sdk_versions"]
    assert cassette["interactions"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_cassette_talks_to_a_provider_and_not_to_a_port(path):
    hosts = {
        entry["request"]["uri"].split("/")[2] for entry in yaml.safe_load(path.read_bytes())["interactions"]
    }

    assert hosts <= {"api.openai.com", "api.anthropic.com"}


def test_every_cassette_belongs_to_a_test_that_exists():
    modules = {
        path.stem: path.read_text(encoding="utf-8") for path in CASSETTES.parent.glob("tests/**/test_*.py")
    }
    orphans = [
        path for path in FILES if f"def {recorded_test(path)}(" not in modules.get(path.parent.name, "")
    ]

    assert orphans == []


@pytest.mark.parametrize(
    "planted",
    [
        '"sk-proj-abcdefgh12345678"',
        "key: sk-ant-api03-abcdefgh",
        "Authorization: Bearer abcdef",
        "      x-api-key:\n      - abc",
        "      Set-Cookie:\n      - a=b",
        "organization org-abcdefgh12345678",
        "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4",
    ],
)
def test_a_planted_credential_is_found(planted):
    assert credentials_in(planted)


def test_a_request_that_was_not_recorded_is_refused(request):
    with playing(path_of(request.node)), pytest.raises(CannotOverwriteExistingCassetteException):
        httpx.get("https://api.openai.com/v1/models")
