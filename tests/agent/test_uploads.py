"""A file that is sent to the broker tells how much of it has gone."""

from __future__ import annotations

import io

from northstar.agent.outputs import _pieces


async def test_a_file_goes_in_pieces_and_each_is_told_once_it_has_gone() -> None:
    data, told = bytes(600_000), list[int]()
    sent = bytearray()
    async for piece in _pieces(io.BytesIO(data), told.append):
        assert sum(told[-1:]) == len(sent)
        sent += piece
    assert bytes(sent) == data
    assert told == [262_144, 524_288, 600_000]
