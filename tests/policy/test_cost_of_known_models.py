"""What a few well-known models cost, in figures that anybody can check by hand."""

import pytest

from iron_policy.cost import price_of
from iron_policy.messages import Usage

USD = 10**9


@pytest.mark.parametrize(
    ("model", "provider", "tokens_in", "tokens_out", "usd"),
    [
        ("gpt-5.1", "openai", 1000, 500, 0.00625),
        ("gpt-5.1", "openai", 1_000_000, 0, 1.25),
        ("gpt-5.1", "openai", 0, 1_000_000, 10),
        ("gpt-5.1", "openai", 0, 0, 0),
        ("gpt-4o-mini", "openai", 1000, 0, 0.00015),
        ("claude-3-haiku-20240307", "anthropic", 1000, 1000, 0.0015),
    ],
)
def test_a_call_costs_its_tokens_at_their_price(model, provider, tokens_in, tokens_out, usd):
    usage = Usage(uncached_input_tokens=tokens_in, output_tokens=tokens_out)

    assert price_of(model, provider).cost(usage) == round(usd * USD)
