"""CrewAI through the router, with nothing but a base URL and a key changed."""

import gc
import sys
from pathlib import Path

import pytest

pytest.importorskip("crewai", reason="needs the extra iron-adapters[crewai]")

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters"))
import crews
from clients import CLAUDE, GPT, Place
from crewai import LLM

pytestmark = [*crews.WARNINGS, pytest.mark.filterwarnings("ignore::ResourceWarning")]
ASKED = "Write a letter"
TOLD = 'call tool lookup {"email":"rome"}'


def chat(place, **more):
    return LLM(model=f"openai/{GPT}", base_url=place.openai_url, api_key=place.key, **more)


def responses(place):
    return chat(place, api="responses")


def claude(place):
    return LLM(model=f"anthropic/{CLAUDE}", base_url=place.anthropic_url, api_key=place.key)


def litellm(place):
    return chat(place, is_litellm=True)


every_model = pytest.mark.parametrize("make", [chat, responses, claude, litellm])


@pytest.fixture(scope="module", autouse=True)
def _collected():
    """Collect the clients that CrewAI leaves open, while the warnings about them are still ours."""
    yield
    gc.collect()


@pytest.fixture
def straight(double):
    return Place(double.openai_url, double.anthropic_url)


@every_model
@pytest.mark.parametrize("way", crews.WAYS)
def test_a_model_says_the_same_through_the_router(way, make, straight, standing_router):
    call = crews.WAYS[way]

    assert call(make(Place.of(standing_router)), ASKED) == call(make(straight), ASKED)


@pytest.mark.parametrize(
    "make", [chat, responses, claude]
)  # litellm needs another mcp for tools than CrewAI allows
def test_a_crew_uses_its_tools_through_the_router(make, straight, double, standing_router):
    def kickoff(place):
        seen = []
        said = crews.crew_of(make(place), TOLD, [crews.lookup_tool(seen)]).kickoff().raw
        return said, seen

    assert kickoff(Place.of(standing_router)) == kickoff(straight)
    assert kickoff(straight)[1] == ["rome"]
