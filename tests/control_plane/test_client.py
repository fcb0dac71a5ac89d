"""The client on the wire: addresses, time limits, errors of every shape, and no secret in any of them."""

import asyncio
import logging
import subprocess
import sys
import threading
import traceback

import orjson
import pytest
from plane import HANGS_UP, KEYS, TOKEN, Agent, Fault, Plane

from iron_adapters.control_plane import ControlPlane, ControlPlaneError, Lease, ProviderKey
from iron_adapters.control_plane.errors import refusal, worth_repeating
from iron_adapters.control_plane.replies import lease_of, nanodollars_of, provider_key_of

USD = 1_000_000_000


@pytest.mark.parametrize("suffix", ["", "/", "//", " "])
async def test_slashes_at_the_end_of_the_address_do_not_matter(plane, suffix):
    client = ControlPlane(plane.url + suffix, TOKEN)

    assert (await client.fetch_key()).key == KEYS["openai"]
    await client.close()


@pytest.mark.parametrize(
    ("server_url", "fault"),
    [
        ("", "no http"),
        ("iron-cage.example.com", "no http"),
        ("ftp://iron-cage.example.com", "no http"),
        ("https://", "no http"),
        ("https://exa mple.com", "no address"),
        ("https://iron-cage.example.com:99999", "no address"),
        ("https://[::1", "no address"),
        ("https://agent:secret@iron-cage.example.com", "user name"),
        ("https://iron-cage.example.com/?token=secret", "query"),
    ],
)
def test_an_address_that_is_none_is_refused_at_once_and_not_repeated(server_url, fault):
    with pytest.raises(ValueError, match=fault) as raised:
        ControlPlane(server_url, TOKEN)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("token", ["", " ", "a\nb", "tökén"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_repeated(token):
    with pytest.raises(ValueError, match="IC token") as raised:
        ControlPlane("https://iron-cage.example.com", token)

    assert "tökén" not in str(raised.value)


def test_an_address_without_tls_is_told_of_once_unless_it_is_this_machine(caplog):
    with caplog.at_level(logging.WARNING, "iron.control_plane"):
        ControlPlane("http://127.0.0.1:3001", TOKEN)
        ControlPlane("http://localhost:3001", TOKEN)
        ControlPlane("https://iron-cage.example.com", TOKEN)
        assert caplog.records == []
        ControlPlane("http://iron-cage.example.com", TOKEN)

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the control plane at 'http"
    ]


async def test_a_key_comes_with_the_address_where_it_is_to_be_used(client, plane):
    plane.agent.base_url = "https://proxy.example.com/v1"

    key = await client.fetch_key("openai")

    assert key == ProviderKey(provider="openai", key=KEYS["openai"], base_url="https://proxy.example.com/v1")


async def test_the_token_goes_as_the_contract_says(client, plane):
    await client.handshake("openai")

    (received,) = plane.received
    assert received.headers["authorization"] == f"Bearer {TOKEN}"
    assert received.headers["content-type"] == "application/json"
    assert received.body == {"ic_token": TOKEN, "provider": "openai"}


async def test_a_lease_is_granted_in_part_where_not_all_is_left(client, plane):
    plane.agent.allocated = 3_500_000

    lease = await client.handshake("openai", "10.00")

    assert (lease.granted_nanodollars, lease.remaining_nanodollars, lease.provider) == (
        3_500_000_000,
        0,
        "openai",
    )
    assert plane.seen("handshake")[0]["requested_budget"] == 10_000_000


async def test_a_report_counts_once_however_often_it_is_sent(client, plane):
    lease = await client.handshake("openai", 10)
    report = {
        "request_id": "call-1",
        "tokens": 20,
        "cost_microdollars": 4,
        "model": "gpt-5-mini",
        "provider": "openai",
    }

    assert await client.report(lease, **report) == 90 * USD
    await client.report(lease, **report)
    assert plane.leases[lease.lease_id].spent == 4


async def test_a_report_keeps_to_the_limits_of_the_contract(client, plane):
    lease = await client.handshake("openai", 10)

    await client.report(
        lease, request_id="i" * 200, tokens=0, cost_microdollars=0, model="m" * 200, provider="p" * 99
    )

    report = plane.seen("report")[0]
    lengths = len(report["request_id"]), len(report["model"]), len(report["provider"])
    assert (*lengths, report["tokens"]) == (100, 100, 50, 1)


async def test_a_lease_is_given_back_with_what_was_spent_rounded_against_us(client, plane):
    lease = await client.handshake("openai", 10)

    assert await client.return_lease(lease, 2_000_000_001) == 7_999_999_000
    assert plane.agent.remaining == 100_000_000 - 2_000_001


async def test_an_event_that_is_sent_twice_is_accepted_twice_and_kept_once(client, plane):
    event = {
        "event_id": "one",
        "timestamp_ms": 1,
        "event_type": "llm_request_failed",
        "model": "gpt-5",
        "provider": "openai",
    }

    await client.send_event(event)
    await client.send_event(event)

    assert plane.events == [{"ic_token": TOKEN, **event}]


ERRORS = [
    (b'{"error": "Invalid IC Token", "code": "UNAUTHORIZED"}', "Invalid IC Token", "UNAUTHORIZED"),
    (b'{"error": {"code": "SERVICE_DOWN", "message": "Come back later"}}', "Come back later", "SERVICE_DOWN"),
    (b'{"error": "VALIDATION_ERROR", "message": "provider must be"}', "provider must be", "VALIDATION_ERROR"),
    (b'{"error": "Budget limit exceeded"}', "Budget limit exceeded", ""),
    (b"<html>Bad gateway</html>", "without a reason", ""),
    (b"", "without a reason", ""),
    (b"[1]", "without a reason", ""),
    (b'{"error": 7, "code": ["x"]}', "without a reason", ""),
    (b'{"error": {"message": null}}', "without a reason", ""),
]


@pytest.mark.parametrize(("body", "text", "code"), ERRORS)
async def test_an_error_is_understood_in_every_shape(client, plane, body, text, code):
    plane.fail("provider-key", Fault(403, body))

    with pytest.raises(ControlPlaneError, match=text) as raised:
        await client.fetch_key()

    assert (raised.value.status, raised.value.plane_code, raised.value.code) == (
        403,
        code,
        "control_plane_failed",
    )


@pytest.mark.parametrize(
    ("status", "outage", "worth"),
    [
        (400, False, False),
        (401, False, True),
        (403, False, False),
        (404, False, False),
        (408, True, True),
        (429, True, True),
        (500, True, True),
        (503, True, True),
        (302, False, False),
    ],
)
def test_an_outage_is_told_from_a_refusal(status, outage, worth):
    error = refusal("a key", status, {"error": "no"}, TOKEN)

    assert (error.outage, worth_repeating(error), error.status_code) == (
        outage,
        worth,
        503 if outage else 502,
    )


@pytest.mark.parametrize(
    "body",
    [
        b"<html>welcome</html>",
        b"[]",
        b'{"provider": "openai"}',
        b'{"provider_key": "", "provider": "openai"}',
        b'{"provider_key": "sk-1\\nhost: evil", "provider": "openai"}',
        b'{"provider_key": "sk-1", "provider": "Open AI"}',
        b'{"provider_key": "sk-1", "provider": "openai", "base_url": "file:///etc/passwd"}',
        b'{"provider_key": "sk-1", "provider": "openai", "padding": "' + b"x" * 300_000 + b'"}',
    ],
    ids=range(8),
)
async def test_an_answer_that_is_no_key_is_an_outage(client, plane, body):
    plane.fail("provider-key", Fault(200, body))

    with pytest.raises(ControlPlaneError, match="not with a provider key") as raised:
        await client.fetch_key()

    assert raised.value.outage


async def test_a_redirect_is_not_followed(client, plane):
    elsewhere = (("location", f"{plane.url}/api/v1/analytics/events"),)
    plane.fail("provider-key", Fault(307, b"", elsewhere))

    with pytest.raises(ControlPlaneError, match="status 307"):
        await client.fetch_key()
    assert plane.seen("events") == []


async def test_a_server_that_is_not_there_is_an_outage_and_is_named():
    gone = Plane()
    gone.start()
    gone.stop()
    client = ControlPlane(gone.url, TOKEN)

    with pytest.raises(ControlPlaneError, match=rf"'{gone.url}' gave no answer \(ConnectError\)") as raised:
        await client.fetch_key()

    assert (raised.value.status, raised.value.status_code) == (None, 503)
    await client.close()


@pytest.mark.parametrize("path", ["provider-key", "return"])
async def test_a_server_that_does_not_answer_in_time_is_an_outage(plane, path):
    gate = threading.Event()
    plane.fail(path, Fault(gate=gate))
    client = ControlPlane(plane.url, TOKEN, timeout_seconds=0.05)
    lease = Lease(lease_id="l", provider="openai", granted_nanodollars=1)

    with pytest.raises(ControlPlaneError, match=r"gave no answer \(\w*TimeoutError\)") as raised:
        await (client.fetch_key() if path == "provider-key" else client.return_lease(lease, 1))

    gate.set()
    assert raised.value.outage
    await client.close()


async def test_a_caller_who_gives_up_leaves_the_client_usable(client, plane):
    gate = threading.Event()
    plane.fail("provider-key", Fault(gate=gate))
    task = asyncio.create_task(client.fetch_key())
    await plane.until_seen("provider-key", 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()

    assert (await client.fetch_key()).provider == "openai"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(403, orjson.dumps({"error": f"bad token {TOKEN}: {KEYS['openai']}", "code": "NO"})),
        Fault(403, orjson.dumps({"error": "bad", "code": TOKEN})),
        Fault(403, orjson.dumps({"error": {"message": KEYS["openai"], "code": KEYS["openai"]}})),
        Fault(403, f"plain {TOKEN} {KEYS['openai']}".encode()),
        Fault(200, orjson.dumps({"provider_key": KEYS["openai"], "provider": 7})),
        Fault(200, f'{{"provider_key": "{KEYS["openai"]}"'.encode()),
        HANGS_UP,
    ],
    ids=range(7),
)
async def test_no_error_shows_a_token_or_a_key(client, plane, caplog, fault):
    plane.fail("provider-key", *[fault] * 2)

    with caplog.at_level(logging.DEBUG), pytest.raises(ControlPlaneError) as raised:
        await client.fetch_key()

    # With the variables of our own frames, which some tracebacks show.
    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    ours = [frame for frame in shown.stack if "iron_adapters" in frame.filename]
    told = "".join(
        (*shown.format_exception_only(), *(str(frame.locals) for frame in ours), repr(client), caplog.text)
    )
    assert ours
    assert raised.value.__context__ is None
    assert TOKEN not in told
    assert KEYS["openai"] not in told


def test_the_text_of_an_error_is_one_line_and_not_long():
    error = refusal("a key", 403, {"error": "a\nb\x1b[31m " + "no " * 1_000}, TOKEN)

    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 300


def test_representations_hide_what_gives_power():
    key = ProviderKey(provider="openai", key="sk-secret")
    lease = Lease(lease_id="lease_secret", provider="openai", granted_nanodollars=1)

    assert "secret" not in f"{key!r}{lease!r}{key}{lease}"
    assert "openai" in repr(key)


@pytest.mark.parametrize(
    ("reply", "nanodollars"),
    [
        ({"sum": 5}, 5_000),
        ({"sum": 0}, 0),
        ({"sum": 10_000_000}, 10 * USD),
        ({"sum_usd": 10.00}, 10 * USD),
        ({"sum_usd": "0.000001"}, 1_000),
        ({"sum_usd": 3}, 3 * USD),
        ({"sum": 7, "sum_usd": 1}, 7_000),
        ({"sum": -1}, None),
        ({"sum": True}, None),
        ({"sum": 1.5}, None),
        ({"sum": "5"}, None),
        ({"sum_usd": "much"}, None),
        ({"sum_usd": -1}, None),
        ({"sum": None}, None),
        ({}, None),
    ],
)
def test_money_is_whole_micro_dollars_or_dollars_where_they_are_named(reply, nanodollars):
    assert nanodollars_of(reply, "sum") == nanodollars


@pytest.mark.parametrize(
    "reply", [{}, {"lease_id": "l"}, {"budget_granted": 1}, {"lease_id": "", "budget_granted": 1}]
)
def test_a_reply_without_a_lease_is_none(reply):
    assert lease_of(reply, "openai") is None


def test_a_key_for_a_provider_nobody_has_heard_of_is_still_a_key():
    assert provider_key_of({"provider": "mistral", "provider_key": "k"}) is not None


async def test_agents_are_told_apart_by_their_tokens(plane):
    plane.agents["ic-other"] = Agent(agent_id=2, keys={"anthropic": KEYS["anthropic"]})
    client = ControlPlane(plane.url, "ic-other")

    assert (await client.fetch_key("anthropic")).key == KEYS["anthropic"]
    await client.close()


async def test_an_unknown_token_is_refused(plane):
    client = ControlPlane(plane.url, "ic-wrong")

    with pytest.raises(ControlPlaneError, match="Invalid IC Token") as raised:
        await client.fetch_key()

    assert (raised.value.status, raised.value.plane_code) == (401, "UNAUTHORIZED")
    await client.close()


def test_without_pyreqwest_the_extra_is_named():
    code = "import sys; sys.modules['pyreqwest.client'] = None; import iron_adapters.control_plane"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603

    assert 'pip install "iron-adapters[router]"' in done.stderr
