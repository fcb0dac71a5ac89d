"""Provider keys: cached, fetched once for many callers, kept through an outage, never used for another provider."""

import asyncio
import threading

import pytest
from plane import HANGS_UP, KEYS, TOKEN, Fault

from iron_adapters import providers
from iron_adapters.control_plane import ControlPlaneError, KeyRing, ProviderMismatch

PATH = "provider-key"


@pytest.fixture
async def ring(client, clock):
    made = KeyRing(client, ttl_seconds=300, clock=clock)
    yield made
    await made.close()


def ring_of(client, clock, ttl_seconds):
    return KeyRing(client, ttl_seconds=ttl_seconds, clock=clock)


async def test_a_key_is_fetched_once_and_used_for_its_ttl(ring, plane, clock):
    key = await ring.get("openai")
    clock.pass_seconds(299.9)

    assert await ring.get("openai") is key
    assert (key.key, key.provider, key.base_url) == (KEYS["openai"], "openai", None)
    assert plane.seen(PATH) == [{"ic_token": TOKEN, "provider": "openai"}]


async def test_a_key_older_than_its_ttl_is_asked_for_anew(ring, plane, clock):
    await ring.get("openai")
    plane.agent.keys["openai"] = "sk-rotated"
    clock.pass_seconds(300)

    assert (await ring.get("openai")).key == "sk-rotated"


async def test_the_ttl_is_what_it_was_set_to(client, plane, clock):
    ring = ring_of(client, clock, 60)
    await ring.get("openai")
    clock.pass_seconds(59)
    await ring.get("openai")
    assert len(plane.seen(PATH)) == 1

    clock.pass_seconds(1)
    await ring.get("openai")
    assert len(plane.seen(PATH)) == 2


async def test_with_a_ttl_of_zero_each_call_asks_and_nothing_is_kept(client, plane, clock):
    ring = ring_of(client, clock, 0)
    await ring.get("openai")
    await ring.get("openai")
    assert len(plane.seen(PATH)) == 2

    plane.fail(PATH, Fault())
    with pytest.raises(ControlPlaneError, match="Database error"):
        await ring.get("openai")


@pytest.mark.parametrize("ttl", [-1, float("nan")])
async def test_a_ttl_that_is_none_is_refused(client, ttl):
    with pytest.raises(ValueError, match="0 caches none"):
        KeyRing(client, ttl_seconds=ttl)


async def test_a_hundred_callers_wait_for_one_request(ring, plane):
    gate = threading.Event()
    plane.fail(PATH, Fault(gate=gate))
    callers = [asyncio.create_task(ring.get("openai")) for _ in range(100)]
    await plane.until_seen(PATH, 1)
    gate.set()

    assert {key.key for key in await asyncio.gather(*callers)} == {KEYS["openai"]}
    assert len(plane.seen(PATH)) == 1


async def test_a_caller_who_hangs_up_takes_the_key_from_nobody(ring, plane):
    gate = threading.Event()
    plane.fail(PATH, Fault(gate=gate))
    first, second = (asyncio.create_task(ring.get("openai")) for _ in range(2))
    await plane.until_seen(PATH, 1)
    first.cancel()
    gate.set()

    assert (await second).key == KEYS["openai"]
    assert first.cancelled()


async def test_each_provider_has_a_key_of_its_own(ring, plane):
    plane.agent.keys |= {"anthropic": KEYS["anthropic"]}

    assert (await ring.get("anthropic")).key == KEYS["anthropic"]
    assert (await ring.get("openai")).key == KEYS["openai"]


async def test_a_key_of_another_provider_is_never_used(ring, plane):
    plane.agent.heeds_wishes = False

    with pytest.raises(ProviderMismatch, match=r"hands out a key of 'openai'.* is for 'anthropic'") as raised:
        await ring.get("anthropic")

    assert (raised.value.status_code, raised.value.code) == (400, "provider_mismatch")
    assert (await ring.get("openai")).provider == "openai"


async def test_a_key_that_is_entered_for_the_wrong_provider_is_not_sent_there(ring, plane):
    plane.agent.keys["openai"] = KEYS["anthropic"]

    with pytest.raises(providers.ProviderMismatch, match="a key of 'anthropic'"):
        await ring.get("openai")
    with pytest.raises(ProviderMismatch):
        await ring.discover()


async def test_a_key_to_another_address_may_look_like_any(ring, plane):
    plane.agent.keys = {"anthropic": "gateway-key"}
    plane.agent.base_url = "https://gateway.example.com"

    assert (await ring.get("anthropic")).key == "gateway-key"


async def test_an_agent_moved_to_another_provider_loses_its_old_key(ring, plane, clock):
    await ring.get("openai")
    plane.agent.keys = {"anthropic": KEYS["anthropic"]}
    clock.pass_seconds(300)

    with pytest.raises(ProviderMismatch):
        await ring.get("openai")
    plane.fail(PATH, *[HANGS_UP] * 4)
    clock.pass_seconds(5)
    with pytest.raises(ControlPlaneError, match="gave no answer"):
        await ring.get("openai")


@pytest.mark.parametrize("fault", [HANGS_UP, Fault(503), Fault(429), Fault(200, b"<html>")], ids=str)
async def test_an_expired_key_is_used_while_the_server_is_down(ring, plane, clock, fault):
    key = await ring.get("openai")
    clock.pass_seconds(300)
    plane.fail(PATH, *[fault] * 2)

    assert await ring.get("openai") is key


async def test_the_grace_of_an_expired_key_ends_after_one_more_ttl(ring, plane, clock):
    await ring.get("openai")
    clock.pass_seconds(600)
    plane.fail(PATH, *[HANGS_UP] * 4)

    with pytest.raises(ControlPlaneError) as raised:
        await ring.get("openai")
    assert (raised.value.status_code, raised.value.status, raised.value.outage) == (503, None, True)


async def test_the_grace_is_at_least_a_minute(client, plane, clock):
    ring = ring_of(client, clock, 10)
    key = await ring.get("openai")
    plane.fail(PATH, *[HANGS_UP] * 8)
    clock.pass_seconds(69)
    assert await ring.get("openai") is key

    clock.pass_seconds(1)
    with pytest.raises(ControlPlaneError):
        await ring.get("openai")


async def test_nobody_waits_again_for_a_server_that_was_just_down(ring, plane, clock):
    key = await ring.get("openai")
    clock.pass_seconds(300)
    plane.fail(PATH, Fault(503))
    await ring.get("openai")

    gate = threading.Event()
    plane.fail(PATH, Fault(gate=gate))
    clock.pass_seconds(1)
    assert await ring.get("openai") is key  # while the second request hangs
    await plane.until_seen(PATH, 3)
    gate.set()


async def test_a_server_that_is_down_is_not_asked_at_every_call(ring, plane, clock):
    plane.fail(PATH, *[Fault(500)] * 10)
    for _ in range(50):
        with pytest.raises(ControlPlaneError, match="Database error"):
            await ring.get("openai")
    assert len(plane.seen(PATH)) == 1

    for pause in (1, 2, 4, 8, 16, 30, 30):
        clock.pass_seconds(pause - 0.1)
        with pytest.raises(ControlPlaneError):
            await ring.get("openai")
        before = len(plane.seen(PATH))
        clock.pass_seconds(0.1)
        with pytest.raises(ControlPlaneError):
            await ring.get("openai")
        assert len(plane.seen(PATH)) == before + 1


@pytest.mark.parametrize(
    ("change", "status", "code", "text"),
    [
        ({"keys": {}}, 403, "NO_PROVIDER_ASSIGNED", "Agent has no provider assigned"),
        ({"disabled": True}, 403, "NO_PROVIDER_ASSIGNED", "Provider key is disabled"),
    ],
)
async def test_a_key_that_the_server_withdraws_is_forgotten_at_once(
    ring, plane, clock, change, status, code, text
):
    await ring.get("openai")
    clock.pass_seconds(300)
    for name, value in change.items():
        setattr(plane.agent, name, value)

    for _ in range(3):
        with pytest.raises(ControlPlaneError, match=text) as raised:
            await ring.get("openai")
        assert (raised.value.status, raised.value.plane_code, raised.value.status_code) == (status, code, 502)
    assert len(plane.seen(PATH)) == 2

    plane.agent.keys, plane.agent.disabled = dict(KEYS), False
    clock.pass_seconds(5)
    assert (await ring.get("openai")).key == KEYS["openai"]


async def test_a_key_that_the_provider_refused_is_replaced(ring, plane):
    old = (await ring.get("openai")).key
    plane.agent.keys["openai"] = "sk-rotated"

    assert ring.invalidate("openai", old)
    assert (await ring.get("openai")).key == "sk-rotated"
    assert ring.invalidate("openai", old), "a later caller with the old key may simply ask again"
    assert (await ring.get("openai")).key == "sk-rotated"
    assert len(plane.seen(PATH)) == 2


async def test_a_wrong_key_is_no_storm(ring, plane, clock):
    key = (await ring.get("openai")).key
    assert ring.invalidate("openai", key)
    for _ in range(50):
        assert (await ring.get("openai")).key == key
        assert not ring.invalidate("openai", key)
    assert len(plane.seen(PATH)) == 2

    clock.pass_seconds(5)
    assert ring.invalidate("openai", key)
    await ring.get("openai")
    assert len(plane.seen(PATH)) == 3


async def test_a_refused_key_is_not_used_while_the_server_is_down(ring, plane):
    key = (await ring.get("openai")).key
    plane.fail(PATH, *[HANGS_UP] * 2)
    ring.invalidate("openai", key)

    with pytest.raises(ControlPlaneError):
        await ring.get("openai")


async def test_a_start_asks_which_provider_there_is_and_keeps_the_key(ring, plane):
    plane.agent.keys = {"anthropic": KEYS["anthropic"]}

    assert (await ring.discover()).provider == "anthropic"
    assert (await ring.get("anthropic")).key == KEYS["anthropic"]
    assert plane.seen(PATH) == [{"ic_token": TOKEN}]


async def test_closing_ends_the_wait_of_callers_with_an_error(ring, plane):
    gate = threading.Event()
    plane.fail(PATH, Fault(gate=gate))
    caller = asyncio.create_task(ring.get("openai"))
    await plane.until_seen(PATH, 1)
    await ring.close()
    gate.set()

    with pytest.raises(ControlPlaneError, match="the router stops"):
        await caller


async def test_no_representation_shows_a_key(ring, plane):
    key = await ring.get("openai")

    assert KEYS["openai"] not in f"{key!r} {key} {ring!r} {ring._slots!r} {vars(ring)!r}"
