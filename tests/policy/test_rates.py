"""Rate limits: never passed, in any window, and small in memory whatever passes."""

from hypothesis import given
from hypothesis import strategies as st

from iron_policy.document import RateLimit
from iron_policy.reliability import RateMeter


def meter(most, clock, **limit):
    return RateMeter([RateLimit(scope="global", requests=most, window="minute", **limit)], clock)


@given(st.lists(st.floats(0, 20), max_size=200), st.integers(1, 10))
def test_no_window_ever_holds_more_than_the_limit(pauses, most):
    now, passed = 0.0, []
    rates = meter(most, lambda: now)
    for pause in pauses:
        now += pause
        if rates.objection(lambda _scope: "", 0) is None:
            passed.append(now)

    assert all(sum(1 for then in passed if start <= then < start + 60) <= most for start in passed)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=100), st.integers(1, 10))
def test_whoever_waits_as_long_as_told_is_let_through(pauses, most):
    now = 0.0
    rates = meter(most, lambda: now)
    for pause in pauses:
        now += pause
        denied = rates.objection(lambda _scope: "", 0)
        if denied is not None:
            assert denied.retry_after_seconds <= 60
            now += denied.retry_after_seconds + 1e-6
            assert rates.objection(lambda _scope: "", 0) is None


def test_a_busy_limit_takes_no_more_memory_than_its_window_has_parts():
    now = 0.0
    rates = meter(10**9, lambda: now)
    for step in range(100_000):
        now = step * 0.0015
        assert rates.objection(lambda _scope: "", 0) is None
    (window,) = rates._windows.values()

    assert len(window.used) <= 1001
    assert window.total == sum(grain.amount for grain in window.used)
    assert 39_900 <= window.total <= 40_100
