"""Server-sent events, wherever the network cuts them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.event_stream import EventStream, EventTooLong, ServerSentEvent

STREAM = (
    b"\xef\xbb\xbf: a comment\n\n"
    b"data: one\n\n"
    b"event: update\r\ndata:two\r\ndata: lines\r\n\r\n"
    b"id: 7\nretry: 5\n\n"
    b"data\rdata: \xc3\xa9\r\r"
    b'error: {"code":500}\n\n'
    b"data: never ended"
)
EVENTS = [
    ServerSentEvent("one"),
    ServerSentEvent("two\nlines", "update"),
    ServerSentEvent("\né"),
    ServerSentEvent('{"code":500}', "error"),
]


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_do_not_depend_on_where_the_stream_is_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    parser = EventStream()
    found = [event for start, end in pairwise(places) for event in parser.feed(STREAM[start:end])]
    assert found == EVENTS


def test_single_bytes_make_the_same_events() -> None:
    parser = EventStream()
    assert [event for byte in STREAM for event in parser.feed(bytes([byte]))] == EVENTS


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 200, b"data: xxxxxxxxxxxxxxxxxxxx\n" * 10])
def test_a_line_or_an_event_without_end_is_refused(stream: bytes) -> None:
    parser = EventStream(max_event_bytes=100)
    with pytest.raises(EventTooLong, match="more than 100 bytes"):
        list(parser.feed(stream))
