"""Keys, tokens and texts in every slot and on every way to fail: they stand nowhere but where they belong."""

import base64
import io
import json
import logging
import pickle
import socket
import traceback
from urllib.parse import quote

import pytest
from raw_http import ASK, CHAT, CLAUDE, DONE, answering, ask, delta, said, streaming

from iron_adapters.router import LlmRouter, llm_router
from iron_adapters.router.app import Setting
from iron_adapters.router.request_log import RequestLog
from iron_policy import IronError

KEY = "sk-canaryrouter-0123456789abcdefghij"
CLAUDE_KEY = "sk-ant-canaryrouter-0123456789abcdefghij"
TOKEN = "iron-canary-token-0123456789"
PROMPT = "the canary sings of purple submarines"
COMPLETION = "the canary answers with green zeppelins"
NOT_READ = "canary-in-a-slot-nobody-reads"
SECRETS = (KEY, CLAUDE_KEY, TOKEN, PROMPT, COMPLETION, NOT_READ)


def forms(secret):
    """Return *secret* as it stands in a log, an address or a dump."""
    raw = secret.encode()
    encoded = {base64.b64encode(raw[start:])[:-4].rstrip(b"=").decode() for start in range(3)}
    return {secret, quote(secret), quote(secret, safe=""), raw.hex(), *encoded}


def found_in(text, secrets):
    return [secret for secret in secrets if any(form in text for form in forms(secret))]


class Watched:
    """A router under watch: all that it writes anywhere but to caller and provider is in :meth:`everything`."""

    def __init__(self, router, log, audit, caplog, capfd):
        self.router, self._log, self._audit, self._caplog, self._capfd = router, log, audit, caplog, capfd

    def everything(self):
        out, err = self._capfd.readouterr()
        audit = self._audit.read_text() if self._audit.exists() else ""
        records = [f"{record.getMessage()} {record.__dict__}" for record in self._caplog.records]
        trace = "".join(
            "".join(traceback.format_exception(*record.exc_info))
            for record in self._caplog.records
            if record.exc_info
        )
        shown = [repr(self.router), _shown(self.router)]
        return "\n".join([out, err, self._log.getvalue(), audit, *records, trace, *shown])


def _shown(router):
    """Return the repr of what a router is made of."""
    app = router._server._server.config.app
    things = [app, app._setting, app._calls, app._setting.keys, app._setting.doors, *app._setting.upstreams]
    return "\n".join(map(repr, things))


@pytest.fixture
def watched(before, monkeypatch, caplog, capfd, tmp_path):
    """Return what starts a watched router, with canaries for keys and token and every logger wide open."""
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.DEBUG)

    def start(answer, policy=None, **settings):
        log = io.StringIO()
        monkeypatch.setattr(llm_router, "Setting", lambda **given: Setting(**given, log=RequestLog(log)))
        audit = tmp_path / "audit.jsonl"
        policy = {"audit": {"path": str(audit)}, **(policy or {})}
        keys = {"openai": KEY, "anthropic": CLAUDE_KEY}
        router = before(answer, api_key=TOKEN, provider_key=keys, policy=policy, **settings)
        return Watched(router, log, audit, caplog, capfd)

    return start


SLOTS = {
    "text": {"body": {**ASK, "messages": [{"role": "user", "content": PROMPT}]}},
    "unknown field": {"body": {**ASK, "canary": NOT_READ, NOT_READ: 1}},
    "user": {"body": {**ASK, "user": NOT_READ, "metadata": {NOT_READ: NOT_READ}}},
    "model": {"body": {**ASK, "model": "gpt-4o-mini", "safety_identifier": NOT_READ}},
    "query": {"path": f"{CHAT}?key={NOT_READ}&api_key={quote(NOT_READ)}"},
    "path": {"path": f"/v1/{NOT_READ}/{NOT_READ}"},
    "model path": {"path": f"/v1/models/{NOT_READ}", "method": "GET", "body": b""},
    "header": {"headers": [f"x-canary: {NOT_READ}", f"cookie: {NOT_READ}", f"x-goog-api-key: {NOT_READ}"]},
    "wrong key": {"key": NOT_READ},
    "wrong scheme": {"key": "", "headers": [f"authorization: Basic {NOT_READ}"]},
    "host": {"host": f"{NOT_READ}.test"},
    "origin": {"headers": [f"origin: http://{NOT_READ}.test"]},
    "type": {"kind": f"text/{NOT_READ}"},
    "coding": {"headers": [f"content-encoding: {NOT_READ}"]},
    "no json": {"body": f'{{"model": "gpt-4o-mini", "messages": "{PROMPT}'.encode()},
    "no list": {"body": {**ASK, "messages": PROMPT}},
    "twice": {"body": f'{{"model": "gpt-4o-mini", "model": "{NOT_READ}", "messages": []}}'.encode()},
    "not utf-8": {"body": b'{"model": "gpt-4o-mini", "x": "\xff' + PROMPT.encode() + b'"}'},
    "deep": {"body": b'{"x":' + b"[" * 5000 + f'"{PROMPT}"'.encode() + b"]" * 5000 + b"}"},
    "number": {"body": {**ASK, "n": NOT_READ, "max_tokens": NOT_READ, "temperature": NOT_READ}},
    "run": {"headers": [f"x-iron-run: {NOT_READ}"]},
    "claim": {"headers": [f"x-iron-claim: {NOT_READ}"]},
    "address": {"headers": [f"x-iron-origin: http://{NOT_READ}.test/{NOT_READ}"]},
    "long agent": {"headers": [f"x-iron-agent: {NOT_READ * 20}"]},
    "claude": {
        "path": "/v1/messages",
        "body": {**CLAUDE, "system": PROMPT, "messages": [{"role": "user", "content": PROMPT}]},
    },
    "untranslatable": {
        "body": {
            **CLAUDE,
            "messages": [{"role": "user", "content": [{"type": NOT_READ, NOT_READ: PROMPT}]}],
            "logit_bias": {"5": 1},
        }
    },
}


@pytest.mark.parametrize("slot", SLOTS)
def test_what_a_caller_sends_stands_in_no_record(slot, watched):
    seen = watched(answering(said(COMPLETION)))
    answer = ask(seen.router, **SLOTS[slot])
    seen.router.stop()

    assert answer.status < 500 or slot == "claude"
    assert found_in(seen.everything(), SECRETS) == []
    assert found_in(answer.raw.decode("latin-1"), (KEY, CLAUDE_KEY, TOKEN, PROMPT)) == []


REFUSALS = {
    "model": {"access": {"models": {"deny": ["gpt-*"]}}},
    "budget": {"budgets": [{"scope": "global", "limit_usd": 0.0000001}]},
    "content": {
        "safety": {"custom": [{"kind": "CANARY", "pattern": "purple submarines", "action": "block"}]}
    },
    "reply": {"safety": {"custom": [{"kind": "CANARY", "pattern": "green zeppelins", "action": "block"}]}},
    "rate": {"limits": [{"scope": "global", "tokens": 1, "window": "minute"}]},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("why", REFUSALS)
def test_a_refusal_names_no_text(why, stream, watched):
    whole = answering(said(COMPLETION))
    seen = watched(
        streaming(delta(COMPLETION) + delta(finish="stop") + DONE) if stream else whole, REFUSALS[why]
    )
    body = {**ASK, "messages": [{"role": "user", "content": PROMPT}], "stream": stream}
    answer = ask(seen.router, body)
    seen.router.stop()

    assert b'"error"' in answer.body
    assert found_in(answer.raw.decode("latin-1"), SECRETS) == []
    assert found_in(seen.everything(), SECRETS) == []


def echo(status, *, headers=()):
    """Return a provider that tells its caller whatever it was sent, the key first."""

    def answer(received):
        sent = received.headers.get("authorization") or received.headers.get("x-api-key")
        message = f"Incorrect API key provided: {sent}. You can find your key at https://platform.test."
        body = {
            "error": {"message": message, "type": "x", "param": None, "code": sent},
            "request": dict(received.headers),
        }
        told = [f"{name}: {sent}" for name in ("x-echo", "www-authenticate")] + list(headers)
        return answering(body, status=status, headers=told)

    return answer


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
def test_a_provider_that_tells_the_key_tells_it_to_nobody(status, watched):
    """Those who may call the router are not those who may have the key."""
    seen = watched(echo(status))
    for body in (ASK, {**ASK, "stream": True}, CLAUDE):
        answer = ask(seen.router, body)

        assert answer.status in {status, 503}  # OpenAI has no 529
        assert found_in(answer.raw.decode("latin-1"), SECRETS) == []
    seen.router.stop()
    assert found_in(seen.everything(), SECRETS) == []


def test_a_list_of_models_that_tells_the_key_tells_it_to_nobody(watched):
    seen = watched(echo(401))
    for path in ("/v1/models", "/v1/models/gpt-4o-mini", "/openai/v1/models", "/anthropic/v1/models"):
        assert found_in(ask(seen.router, b"", path=path, method="GET").raw.decode("latin-1"), SECRETS) == []
    assert found_in(seen.everything(), SECRETS) == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_that_tells_the_key_tells_it_to_nobody(stream, watched):
    def answer(received):
        key = received.headers["authorization"].removeprefix("Bearer ")
        said_it = f"Your key is {key}, keep it."
        return (
            streaming(delta(said_it[:20]) + delta(said_it[20:], "stop") + DONE)
            if stream
            else answering(said(said_it))
        )

    seen = watched(answer)
    told = ask(seen.router, {**ASK, "stream": stream})

    assert told.status == 200
    assert found_in(told.raw.decode("latin-1"), (KEY,)) == []


def unused():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


BROKEN = {
    "hangs up": b"",
    "no http": f"{COMPLETION}\r\n\r\n".encode(),
    "no json": answering(COMPLETION.encode()),
    "html": answering(f"<b>{COMPLETION}</b>".encode(), kind="text/html"),
    "odd json": answering({"canary": COMPLETION}),
    "list": answering([COMPLETION]),
    "odd choices": answering({**said(), "choices": COMPLETION}),
    "cut": answering(said(COMPLETION))[:-40],
    "odd stream": streaming(f"data: {COMPLETION}\n\n".encode()),
    "cut stream": streaming(delta(COMPLETION))[:-20],
    "error in a stream": streaming(
        delta("x") + f'data: {{"error": {{"message": "{NOT_READ}"}}}}\n\n'.encode()
    ),
    "redirect": answering(COMPLETION.encode(), status=302, headers=[f"location: http://{NOT_READ}.test"]),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_provider_that_breaks_leaves_no_trace_of_what_it_said(how, watched):
    seen = watched(BROKEN[how])
    for body in (ASK, {**ASK, "stream": True}, {**CLAUDE, "stream": True}, CLAUDE):
        answer = ask(seen.router, body)

        assert answer.status in {200, 502}
        assert found_in(answer.raw.decode("latin-1"), (KEY, CLAUDE_KEY, TOKEN)) == []
    seen.router.stop()
    assert found_in(seen.everything(), SECRETS) == []


def test_a_provider_that_is_not_there_leaves_no_trace_of_the_call(watched):
    seen = watched(b"", upstreams={"openai": unused()})
    body = {**ASK, "messages": [{"role": "user", "content": PROMPT}]}
    answer = ask(seen.router, body, path=f"{CHAT}?key={NOT_READ}")
    seen.router.stop()

    assert answer.status == 502
    assert found_in(answer.raw.decode("latin-1") + seen.everything(), SECRETS) == []


def test_a_fault_of_the_router_itself_tells_no_text(watched, monkeypatch):
    def fail(*_args, **_more):
        raise RuntimeError(f"{PROMPT} {KEY}")

    seen = watched(answering(said()))
    monkeypatch.setattr("iron_adapters.router.calls.towards", fail)
    answer = ask(seen.router)
    seen.router.stop()

    assert answer.status >= 500
    assert found_in(answer.raw.decode("latin-1") + seen.everything(), SECRETS) == []


def test_the_end_of_a_router_in_the_middle_of_a_call_tells_no_text(watched):
    seen = watched(streaming(delta(COMPLETION)))
    body = {**ASK, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
    ask(seen.router, body)
    seen.router.stop()

    assert found_in(seen.everything(), SECRETS) == []


def test_errors_of_the_constructor_tell_no_key(canary):
    tries = [
        {"provider_key": {"openai": CLAUDE_KEY}},
        {
            "provider_key": KEY,
            "upstreams": {"openai": {"base_url": f"http://user:{KEY}@h/v1", "api_key": KEY}},
        },
        {"provider_key": KEY, "upstreams": {"openai": f"http://h/v1?key={KEY}"}},
        {"provider_key": KEY, "upstreams": {"x": {"api_key": KEY}}},
        {"provider_key": KEY, "upstreams": {"x": {"base_url": "http://h", "api_key": KEY, "odd": KEY}}},
        {"provider_key": KEY, "budget": -1},
        {"provider_key": KEY, "port": 99999},
    ]
    for settings in tries:
        with pytest.raises((IronError, ValueError, OSError, OverflowError)) as failed:
            LlmRouter(TOKEN, **settings)
        told = "".join(traceback.format_exception(failed.value))
        assert found_in(str(failed.value) + repr(failed.value), SECRETS) == [], settings
        assert found_in(told, (KEY, TOKEN)) == [], settings


def test_no_part_of_a_router_can_be_pickled_with_its_keys(watched):
    seen = watched(answering(said()))
    setting = seen.router._server._server.config.app._setting
    for thing in (seen.router, setting, setting.keys, setting.doors, setting.scope, *setting.upstreams):
        try:
            dumped = pickle.dumps(thing)
        except (TypeError, AttributeError, pickle.PicklingError):
            continue
        assert not [secret for secret in SECRETS if secret.encode() in dumped], thing


def test_the_line_of_a_request_says_what_it_says_and_no_more(watched):
    seen = watched(answering(said(COMPLETION)))
    ask(seen.router, path=f"{CHAT}?key={NOT_READ}", headers=[f"x-a: {NOT_READ}"])
    seen.router.stop()
    (line,) = seen._log.getvalue().splitlines()

    assert json.loads(line).keys() == {"time", "method", "path", "status", "seconds", "upstream", "call_id"}
