"""The official Python clients, pointed at a router."""

from typing import NamedTuple

import anthropic
import openai
import pytest

GPT, CLAUDE = "gpt-4o-mini", "claude-haiku-4-5"


def openai_of(router, kind=openai.OpenAI, **settings):
    """Return an OpenAI client of *router* that tries once."""
    return kind(**{"base_url": router.base_url, "api_key": router.api_key, "max_retries": 0, **settings})


def anthropic_of(router, kind=anthropic.Anthropic, **settings):
    """Return an Anthropic client of *router* that tries once."""
    base_url = router.base_url.removesuffix("/v1")
    return kind(**{"base_url": base_url, "api_key": router.api_key, "max_retries": 0, **settings})


def named(calls):
    """Return a mark that runs a test with each of *calls*, under their names."""
    return pytest.mark.parametrize("call", calls, ids=lambda call: call.__name__)


class Place(NamedTuple):
    """Where an application sends its calls, and with which key: all that a router changes of it."""

    openai_url: str
    anthropic_url: str
    key: str = "any"

    @classmethod
    def of(cls, router):
        """Return the place that *router* is."""
        return cls(router.base_url, router.base_url.removesuffix("/v1"), router.api_key)
