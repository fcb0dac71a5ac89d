"""LangChain's own conformance suites: what a bare model passes, the same model held by ``IronChatModel`` passes."""

from collections import defaultdict

import pytest

pytest.importorskip("langchain_tests")
pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_anthropic")

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from iron_adapters.langchain import IronChatModel

# The SDKs and integrations warn about their own structured output; the suites take no offence.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

POLICY = {"safety": {"output": {"pii": "redact"}}, "budgets": [{"scope": "global", "limit_usd": 1000}]}


class OpenAI:
    bare, name, url = ChatOpenAI, "gpt-4o-mini", "openai_url"
    model_override_value = "gpt-4o-2024-08-06"
    supports_json_mode = True


class Anthropic:
    bare, name, url = ChatAnthropic, "claude-haiku-4-5", "anthropic_url"
    model_override_value = "claude-sonnet-4-5-20250929"


class Bare:
    """A suite on the model as it is."""

    @pytest.fixture(autouse=True)
    def _served(self, double):
        type(self).served_at = getattr(double, self.url)

    @property
    def chat_model_class(self):
        return self.bare

    @property
    def chat_model_params(self):
        return {"model": self.name, "base_url": getattr(self, "served_at", "http://127.0.0.1:9")}


class Governed(Bare):
    """The same suite on the model under a policy: a test may fail where it fails on the bare model, and nowhere else."""

    @property
    def chat_model_class(self):
        return IronChatModel

    @property
    def chat_model_params(self):
        return {**super().chat_model_params, "policy": POLICY}

    @pytest.fixture(autouse=True)
    def _as_the_bare_model(self, request, bare_outcomes):
        suite = type(self).__name__.removeprefix("Test")
        if bare_outcomes[f"Bare{suite}"].get(request.node.name) != "passed":
            reason = "the bare model does not pass it either"
            request.applymarker(pytest.mark.xfail(reason=reason, strict=False))


class BareOpenAIUnit(OpenAI, Bare, ChatModelUnitTests): ...


class BareOpenAIIntegration(OpenAI, Bare, ChatModelIntegrationTests): ...


class BareAnthropicUnit(Anthropic, Bare, ChatModelUnitTests): ...


class BareAnthropicIntegration(Anthropic, Bare, ChatModelIntegrationTests): ...


class TestOpenAIUnit(OpenAI, Governed, ChatModelUnitTests): ...


class TestOpenAIIntegration(OpenAI, Governed, ChatModelIntegrationTests): ...


class TestAnthropicUnit(Anthropic, Governed, ChatModelUnitTests): ...


class TestAnthropicIntegration(Anthropic, Governed, ChatModelIntegrationTests): ...


class _Outcomes:
    def __init__(self):
        self.of = defaultdict(dict)

    def pytest_runtest_logreport(self, report):
        _, suite, test = report.nodeid.split("::")
        if report.when == "call" or report.outcome != "passed":
            self.of[suite][test] = report.outcome


@pytest.fixture(scope="session")
def bare_outcomes():
    """What became of every test of the suites on the bare models, run in a session of its own."""
    outcomes = _Outcomes()
    how = (
        "-q",
        "--no-header",
        "--no-summary",
        "--tb=no",
        "-o",
        "python_classes=Bare*",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--benchmark-disable",
    )
    pytest.main([__file__, *how], plugins=[outcomes])
    assert sum(outcome == "passed" for suite in outcomes.of.values() for outcome in suite.values()) > 80
    return outcomes.of
