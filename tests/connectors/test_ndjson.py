"""Lines out of a stream are the same wherever it was cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.connectors.ndjson import LineStream, LineTooLong


@given(
    lines=st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"").strip()), max_size=8),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_the_same_lines_however_the_stream_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    whole = b"\r\n".join(lines)
    stream, found, last = LineStream(), list[bytes](), 0
    for cut in [*sorted(min(cut, len(whole)) for cut in cuts), len(whole)]:
        found += stream.feed(whole[last:cut])
        last = cut
    assert [*found, *([stream.rest()] if stream.rest() else [])] == [line for line in lines if line]


@pytest.mark.parametrize("chunks", [[b"x" * 11], [b"x" * 6, b"x" * 6], [b"x" * 11 + b"\n"]])
def test_a_line_that_does_not_end_is_not_held(chunks: list[bytes]) -> None:
    stream = LineStream(max_line_bytes=10)
    with pytest.raises(LineTooLong, match="more than 10 bytes"):
        assert [line for chunk in chunks for line in stream.feed(chunk)]
