"""Streams are held open for so many readers, and for so many of one key."""

from __future__ import annotations

import pytest

from northstar.broker.event_errors import TooManyStreams
from northstar.broker.stream_places import StreamPlaces


def test_a_key_has_so_many_streams_and_leaves_the_others_to_others() -> None:
    places = StreamPlaces(most=3, most_of_key=2)
    with places.taken("a"), places.taken("a"):
        with pytest.raises(TooManyStreams, match="this key has 2 open streams"):
            places.expect("a")
        with places.taken("b"), pytest.raises(TooManyStreams, match="this broker has 3 open streams"):
            places.expect("c")
        places.expect("c")
    places.expect("a")
    assert not places._taken
