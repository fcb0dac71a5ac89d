"""Ids of calls stay apart: over a refill, between threads, and over a fork."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from iron_policy.call_ids import new_call_id


def test_an_id_has_128_bits_in_hex():
    """So it can stand in headers and records wherever a UUID can."""
    assert len(bytes.fromhex(new_call_id())) == 16


def test_no_two_ids_are_alike_whichever_thread_asks():
    """Several refills, by threads that race for each."""
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_call_id(), range(5_000)))

    assert len(set(ids)) == 5_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_gives_out_ids_of_its_own():
    """A child has a copy of its parent's memory, and must not use the same ids."""
    new_call_id()
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, new_call_id().encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        of_child = told.read()
    os.waitpid(child, 0)

    assert len(of_child) == 32
    assert of_child not in {new_call_id() for _ in range(256)}
