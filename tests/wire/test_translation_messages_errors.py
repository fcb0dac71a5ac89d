"""An error of OpenAI's, or of a server that is alike, reaches Anthropic's clients as one of Anthropic's."""

from __future__ import annotations

import json

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages_dialects import translated
from recorded import recordings


def openai_error(message="No.", **fields):
    return json.dumps(
        {"error": {"message": message, "type": "invalid_request_error", "param": None, **fields}}
    ).encode()


def said(status, body):
    status, answer = translated().error(status, body)
    return status, json.loads(answer)


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        (400, {}, (400, "invalid_request_error")),
        (400, {"code": "context_length_exceeded"}, (400, "invalid_request_error")),
        (401, {"code": "invalid_api_key"}, (401, "authentication_error")),
        (402, {}, (402, "billing_error")),
        (403, {}, (403, "permission_error")),
        (404, {"code": "model_not_found"}, (404, "not_found_error")),
        (409, {}, (409, "invalid_request_error")),
        (413, {}, (413, "request_too_large")),
        (422, {}, (422, "invalid_request_error")),
        (429, {"type": "tokens", "code": "rate_limit_exceeded"}, (429, "rate_limit_error")),
        (429, {"type": "insufficient_quota", "code": "insufficient_quota"}, (402, "billing_error")),
        (500, {"type": "server_error"}, (500, "api_error")),
        (502, {}, (502, "api_error")),
        (503, {"type": "server_error"}, (529, "overloaded_error")),
        (504, {}, (504, "timeout_error")),
    ],
)
def test_the_kind_of_error_is_said_in_anthropics_words(status, fields, expected):
    came, body = said(status, openai_error(**fields))

    assert (came, body["error"]["type"]) == expected
    assert body["type"] == "error"
    assert body["error"]["message"] == "No."


def test_what_the_error_is_about_stays():
    _, body = said(400, openai_error(param="stop", code="unsupported_parameter"))

    assert (body["error"]["param"], body["error"]["code"]) == ("stop", "unsupported_parameter")


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "Full"}}',
        b'{"error": "Full"}',
        b'{"object": "error", "message": "Full", "code": 400}',
        b'{"detail": "Full"}',
    ],
)
def test_the_message_is_found_where_other_servers_put_it(body):
    assert said(400, body)[1]["error"]["message"] == "Full"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>nginx/1.2</body></html>",
        b"upstream at 10.0.0.7 refused",
        b"[]",
        b'{"error": {}}',
        b'{"error": {"message": 7}}',
        b'{"error": {"message": "  <!DOCTYPE html><p>10.0.0.7"}}',
        b'{"error": "bad gateway: <html>10.0.0.7"}',
    ],
)
def test_a_page_is_not_handed_on(body):
    assert said(502, body) == (
        502,
        {
            "type": "error",
            "error": {
                "type": "api_error",
                "message": "the provider answered with status 502 and no error that can be read",
            },
        },
    )


@pytest.mark.parametrize(
    "recording",
    recordings(
        lambda one: one.row["endpoint"] == "chat.completions" and one.status != 200 and one.reply_body
    ),
)
def test_a_recorded_error_is_said(recording):
    status, body = said(recording.status, recording.reply_body)

    assert status == recording.status
    assert body["error"]["message"] == recording.response["json"]["error"]["message"]
    anthropic.types.ErrorResponse.model_validate(body)


@given(
    st.integers(400, 599),
    st.binary()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(
                st.sampled_from(["error", "message", "type", "code", "detail", "param"]), children, max_size=4
            )
        ),
    ).map(lambda document: json.dumps(document).encode()),
)
def test_any_error_is_well_formed(status, body):
    came, answer = said(status, body)

    assert 400 <= came <= 599
    assert isinstance(answer["error"]["message"], str)
    assert answer["error"]["message"]
