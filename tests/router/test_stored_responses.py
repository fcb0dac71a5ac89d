"""Conversations that a provider keeps: whose stand-ins become values again, and whose do not."""

import re

import openai
import pytest

ADDRESS = "alice@example.com"


@pytest.fixture
def client(router):
    with openai.OpenAI(base_url=router.base_url, api_key=router.api_key, max_retries=0) as client:
        yield client


@pytest.fixture
def respond(client):
    def responding(text, **more):
        return client.responses.create(model="gpt-5-mini", input=text, **more)

    return responding


@pytest.fixture
def stand_in(double):
    """Return the stand-in that the provider was last sent."""

    def last():
        return re.search(r"<EMAIL_\w+>", double.requests.last.text).group()

    return last


def test_a_stored_conversation_goes_on_with_the_values_of_its_beginning(respond, stand_in):
    first = respond(f"Write to {ADDRESS}")
    known = stand_in()

    for store in (True, False):
        after = respond(f"Again, to {known}", previous_response_id=first.id, store=store)
        assert ADDRESS in after.output_text


def test_what_is_not_stored_is_nobodys_to_ask_for(respond, stand_in):
    assert ADDRESS in respond(f"Write to {ADDRESS}", store=False).output_text
    known = stand_in()

    assert respond(f"Who is {known}?").output_text == f"You said: Who is {known}?"
