"""A bound is never exceeded, and what is affordable is exactly what fits."""

from __future__ import annotations

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from iron_policy.cost import ModelPrice, flat_price, price_of
from iron_policy.cost.catalogue import _compile
from iron_policy.cost.estimates import Rates, Tier
from iron_policy.cost.model_limits import most_output_tokens
from iron_policy.cost.prices import UNLIMITED
from iron_policy.messages import Usage

PRICES = [
    price
    for provider in get_snapshot().providers
    for info in provider.models
    if (price := _compile(provider, info, (), 1_795_000_000.0)) is not None
]
TELLING = [
    price
    for price in PRICES
    if len(price.tiers) > 1
    or price.per_call
    or len(set(price.tiers[0].rates)) > 4
    or price.provider_name == "anthropic"
]
tokens = st.integers(min_value=0, max_value=1_500_000)
few_tokens = st.integers(min_value=0, max_value=12)


@st.composite
def made_up_prices(draw):
    """Any price list, also one whose tiers grow cheaper, with edges so low that small numbers meet them."""
    tiers = []
    for above in (-1, *sorted(draw(st.sets(few_tokens, max_size=3)))):
        rates = draw(st.lists(st.integers(0, 9), min_size=8, max_size=8))
        dearer = draw(st.integers(0, 2))
        tiers.append(Tier(above, Rates(*rates, max(rates[:5]) + dearer, max(rates[5:]) + dearer)))
    fee, scale = draw(st.integers(0, 20)), draw(st.sampled_from([1, 3, 10]))
    return ModelPrice(provider_name="p", model="m", source="s", tiers=tuple(tiers), per_call=fee, scale=scale)


@st.composite
def usages(draw, counts):
    """Any usage, also one whose shares contradict their buckets, as a provider might report it."""
    return Usage(**{name: draw(counts) for name in Usage._fields if name != "service_tier"})


@given(made_up_prices(), usages(few_tokens), st.integers(1, 3), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=examples(300))
def test_whatever_the_prices_no_usage_costs_more_than_its_bound(
    price, usage, choices, more_input, more_output
):
    per_choice = -(-usage.output_tokens // choices)
    assert price.cost(usage) <= price.bound(
        usage.input_tokens + more_input, per_choice + more_output, choices
    )


@given(made_up_prices(), few_tokens, st.integers(1, 3), st.integers(0, 200))
@settings(max_examples=examples(300))
def test_whatever_the_prices_the_affordable_tokens_fit_and_one_more_does_not(
    price, input_tokens, choices, money
):
    most = price.tokens_affordable(input_tokens, choices, money)
    if most == UNLIMITED:
        assert price.bound(input_tokens, 10**6, choices) == price.bound(input_tokens, 0, choices) <= money
        return
    if most >= 0:
        assert price.bound(input_tokens, most, choices) <= money
    assert price.bound(input_tokens, max(most + 1, 0), choices) > money


def test_a_tier_that_is_cheaper_than_the_one_before_it_does_not_lower_the_bound():
    tiers = (Tier(-1, Rates(*[9] * 10)), Tier(10, Rates(*[1] * 10)))
    price = ModelPrice(provider_name="p", model="m", source="s", tiers=tiers)
    assert price.cost(Usage(uncached_input_tokens=10)) == 90
    assert price.cost(Usage(uncached_input_tokens=11)) == 11
    assert [price.bound(count, 0, 1) for count in (9, 10, 11, 1_000)] == [81, 90, 90, 1_000]


@given(
    st.sampled_from(TELLING),
    usages(tokens),
    st.integers(1, 8),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
)
def test_no_usage_within_its_limits_costs_more_than_the_bound(price, usage, choices, more_input, more_output):
    per_choice = -(-usage.output_tokens // choices)
    assert price.cost(usage) <= price.bound(
        usage.input_tokens + more_input, per_choice + more_output, choices
    )


@given(st.sampled_from(TELLING), tokens, tokens)
def test_more_tokens_never_lower_the_bound(price, fewer, more):
    fewer, more = sorted((fewer, more))
    assert price.bound(fewer, 100, 1) <= price.bound(more, 100, 1)


def test_no_model_of_the_table_is_cheaper_bounded_than_it_costs_whatever_the_bucket():
    for price in PRICES:
        for bucket in ("uncached_input_tokens", "cache_read_input_tokens", "cache_creation_1h_input_tokens"):
            assert price.cost(Usage(**{bucket: 600_011})) <= price.bound(600_011, 0, 1), price


def test_what_nobody_limits_is_bounded_by_the_window_and_the_models_own_limit():
    price = price_of("gpt-4o-mini", "openai")
    assert price.bound(None, None, 1) == price.bound(128_000, 16_384, 1)
    unknown = flat_price(1)
    assert unknown.bound(None, None, 1) == unknown.bound(2_000_000, 128_000, 1)


def test_choices_multiply_the_output_and_not_the_input():
    price = price_of("gpt-4o-mini", "openai")
    assert price.bound(1_000, 10, 3) == price.bound(1_000, 30, 1)


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("gpt-4o", 16_384),
        ("gpt-4o-2024-05-13", 4_096),
        ("gpt-4o-audio-preview", 16_384),
        ("gpt-5-pro", 272_000),
        ("gpt-5.4-mini", 128_000),
        ("o3-deep-research", 100_000),
        ("openai/gpt-4.1-mini", 32_768),
        ("claude-haiku-4-5", 64_000),
        ("claude-opus-5", 128_000),
        ("claude-opus-5-5", None),
        ("gpt-5.9", None),
        ("gpt-7", None),
        ("llama-4", None),
    ],
)
def test_a_later_model_has_no_limit_until_a_source_gives_it_one(model, most):
    assert most_output_tokens(model) == most
