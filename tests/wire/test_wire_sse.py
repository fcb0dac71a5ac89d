"""Server-sent events, cut anywhere. The recordings have no CR, no comments and no broken ends: those are made here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iron_adapters.wire import sse
from iron_adapters.wire.sse import Event, EventParser, write_event
from iron_policy.exceptions import WireError

LINE_ENDS = ["\n", "\r\n", "\r"]
text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)
line = st.one_of(
    text.map("data: {}".format),
    text.map("data:{}".format),
    text.map(": {}".format),
    text.map("event: {}".format),
    st.sampled_from(["data", "id: 7", "retry: 10", "nonsense", "event"]),
)
event = st.lists(line, min_size=1, max_size=4)


@st.composite
def stream(draw):
    """Return the bytes of a stream, and the data of its events."""
    blocks = draw(st.lists(event, max_size=5))
    end = draw(st.sampled_from(LINE_ENDS))
    written = "".join(end.join(block) + end + end for block in blocks)
    bom = draw(st.sampled_from(["", "\ufeff"]))
    return (bom + written).encode(), [data_of(block) for block in blocks]


def data_of(block):
    lines = [line.partition(":") for line in block]
    found = [value.removeprefix(" ") for field, _, value in lines if field == "data"]
    return "\n".join(found).encode() if found else None


def cut(data, draw):
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(stream(), st.data())
def test_a_stream_is_read_alike_wherever_it_is_cut(given_stream, draw):
    data, expected = given_stream
    parser = EventParser()
    found = [event for piece in cut(data, draw.draw) for event in parser.feed(piece)]
    rest = parser.finish()

    assert b"".join(event.raw for event in found) + (rest.raw if rest else b"") == data
    assert [event.data for event in found if event.data is not None] == [
        data for data in expected if data is not None
    ]


@given(stream(), st.data())
def test_replaced_data_reads_back_and_keeps_the_other_lines(given_stream, draw):
    data, _ = given_stream
    parser = EventParser()
    for found in [*parser.feed(data), *filter(None, [parser.finish()])]:
        if found.data is None:
            continue
        again = Event(found.with_data(b'{"new":1}'))
        assert again.data == b'{"new":1}'
        assert again.name == found.name


@pytest.mark.parametrize("end", LINE_ENDS)
def test_an_event_that_is_altered_keeps_its_line_ends_its_name_and_its_comment(end):
    raw = end.join([": hello", "event: delta", "data: old", "id: 3", "", ""]).encode()

    assert Event(raw).with_data(b"new") == raw.replace(b"old", b"new")


def test_several_data_lines_are_one_text():
    event = Event(b"data: {\ndata: }\nid: 3\n\n")

    assert event.data == b"{\n}"
    assert event.with_data(b"{}") == b"data: {}\nid: 3\n\n"


def test_what_follows_the_last_blank_line_is_told_apart():
    parser = EventParser()

    assert [event.data for event in parser.feed(b"data: 1\n\ndata: 2")] == [b"1"]
    assert parser.finish().data == b"2"
    assert parser.finish() is None


def test_a_stream_without_end_of_an_event_is_given_up(monkeypatch):
    monkeypatch.setattr(sse, "LONGEST_EVENT_BYTES", 100)
    parser = EventParser()

    with pytest.raises(WireError, match="without an end"):
        parser.feed(b"data: " + b"x" * 100)


def test_many_small_pieces_of_one_large_event_cost_no_more_than_their_length():
    parser = EventParser()
    piece = b"x" * 1000
    parser.feed(b"data: ")
    for _ in range(2000):
        parser.feed(piece)

    assert len(parser.feed(b"\n\n")[0].data) == 2_000_000


def test_an_event_of_our_own_has_a_name_if_asked():
    assert write_event(b"{}", "ping") == b"event: ping\ndata: {}\n\n"
    assert write_event(b"{}") == b"data: {}\n\n"
