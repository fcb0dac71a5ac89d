"""What gathers is sent in the background, once each, again after an outage, and the rest at the end."""

import asyncio
import threading

import pytest

from iron_adapters.control_plane.errors import ControlPlaneError
from iron_adapters.control_plane.outbox import Outbox, Pace

NEVER = Pace(interval_seconds=3600, batch=1_000_000)
AT_ONCE = Pace(interval_seconds=3600, batch=1, first_pause_seconds=0.001, longest_pause_seconds=0.002)
OUTAGE = ControlPlaneError("down", status=503)


class Server:
    """Takes what it is sent, unless an answer is scripted."""

    def __init__(self):
        self.taken = []
        self.asked = []
        self.answers = []
        self.changed = asyncio.Event()

    async def __call__(self, item):
        self.asked.append(item)
        self.changed.set()
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        elif answer is not None:
            raise answer
        self.taken.append(item)

    async def until(self, met):
        async with asyncio.timeout(20):
            while not met():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def server():
    return Server()


@pytest.fixture
async def outbox_of(server):
    made = []

    def make(pace=AT_ONCE, **more):
        made.append(Outbox("things", server, pace=pace, **more))
        made[-1].start()
        return made[-1]

    yield make
    for outbox in made:
        await outbox.stop(0.01)


def refusal(status):
    return ControlPlaneError("no", status=status, outage=status in {408, 429})


async def test_what_is_put_in_is_sent_once(server, outbox_of):
    outbox = outbox_of()
    for number in range(100):
        outbox.put(number)

    assert await outbox.flush(20) == 0
    assert await outbox.flush(20) == 0
    assert server.asked == list(range(100))
    assert (outbox.sent, outbox.waiting) == (100, 0)


async def test_a_full_batch_is_sent_at_once_and_less_waits(server, outbox_of):
    outbox = outbox_of(Pace(interval_seconds=3600, batch=10))
    await outbox.flush(20)
    for number in range(9):
        outbox.put(number)
    await asyncio.sleep(0)
    assert server.asked == []

    outbox.put(9)
    await server.until(lambda: len(server.taken) == 10)


async def test_what_waits_is_sent_after_the_interval(server, outbox_of):
    outbox = outbox_of(Pace(interval_seconds=0.001, batch=1_000))
    await outbox.flush(20)

    outbox.put("alone")

    await server.until(lambda: server.taken == ["alone"])


async def test_what_waited_before_the_start_is_sent_at_the_start(server):
    outbox = Outbox("things", server, pace=NEVER)
    outbox.put("early")
    assert await outbox.flush(1) == 1

    outbox.start()

    await server.until(lambda: server.taken == ["early"])
    await outbox.stop(1)


async def test_an_outage_is_waited_out_and_nothing_is_lost_or_doubled(server, outbox_of, caplog):
    server.answers = [OUTAGE] * 25
    outbox = outbox_of()
    for number in range(5):
        outbox.put(number)

    assert await outbox.flush(20) == 0
    assert sorted(server.taken) == [0, 1, 2, 3, 4]
    assert len(server.asked) == 30
    assert "things wait until" in caplog.text


@pytest.mark.parametrize("status", [400, 403, 404, 422])
async def test_a_refusal_is_the_end(server, outbox_of, status):
    server.answers = [refusal(status)]
    outbox = outbox_of()
    outbox.put("wrong")
    outbox.put("right")

    assert await outbox.flush(20) == 0
    assert (server.taken, outbox.refused, outbox.sent) == (["right"], 1, 1)


@pytest.mark.parametrize("status", [401, 408, 429])
async def test_some_refusals_may_pass_but_not_for_ever(server, outbox_of, status):
    server.answers = [refusal(status)] * 3
    outbox = outbox_of()
    outbox.put("later")
    assert await outbox.flush(20) == 0
    assert server.taken == ["later"]

    server.answers = [refusal(status)] * 100
    outbox.put("never")
    assert await outbox.flush(20) == 0
    assert (server.asked.count("never"), outbox.refused) == (10, 1)


async def test_a_full_buffer_drops_what_comes_and_counts_it(server):
    outbox = Outbox("things", server, pace=NEVER, capacity=3)

    assert [outbox.put(number) for number in range(5)] == [True, True, True, False, False]
    assert (outbox.dropped, outbox.waiting) == (2, 3)

    outbox.start()
    await outbox.stop(20)
    assert server.taken == [0, 1, 2]


async def test_a_flush_ends_in_time_and_says_what_is_left(server, outbox_of):
    hangs = asyncio.Event()
    server.answers = [hangs, hangs]
    outbox = outbox_of(NEVER)
    outbox.put("one")
    outbox.put("two")

    assert await outbox.flush(0.01) == 2
    hangs.set()
    assert await outbox.flush(20) == 0


async def test_a_flush_does_not_wait_out_a_pause(server, outbox_of):
    server.answers = [OUTAGE]
    outbox = outbox_of(
        Pace(interval_seconds=3600, batch=1, first_pause_seconds=3600, longest_pause_seconds=3600)
    )
    outbox.put("one")
    await server.until(lambda: len(server.asked) == 1)

    assert await outbox.flush(20) == 0


async def test_a_stop_sends_the_rest_and_says_what_is_not_sent(server, outbox_of, caplog):
    outbox = outbox_of(NEVER)
    outbox.put("one")
    assert await outbox.stop(20) == 0
    assert server.taken == ["one"]

    server.answers = [OUTAGE] * 1_000
    late = outbox_of()
    late.put("two")
    assert await late.stop(0.05) == 1
    assert "1 things were not sent" in caplog.text


async def test_what_comes_after_the_end_of_the_loop_is_kept_and_breaks_nothing(server):
    outbox = Outbox("things", server, pace=AT_ONCE)

    def short_lived():
        async def main():
            outbox.start()

        asyncio.run(main())

    await asyncio.to_thread(short_lived)

    assert outbox.put("late")
    assert outbox.waiting == 1


async def test_many_threads_put_in_while_it_sends(server, outbox_of):
    outbox = outbox_of(Pace(interval_seconds=3600, batch=10))
    start = threading.Barrier(4)

    def put(first):
        start.wait()
        for number in range(first, first + 1_000):
            outbox.put(number)

    await asyncio.gather(*(asyncio.to_thread(put, 1_000 * thread) for thread in range(4)))

    assert await outbox.flush(20) == 0
    assert sorted(server.asked) == list(range(4_000))
