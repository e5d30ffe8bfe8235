"""The agenda's order, the clock that never goes back, and a line that is shared fairly."""

from __future__ import annotations

import pytest

from northstar.simulation.agenda import Agenda
from northstar.simulation.clock import VirtualClock


async def test_things_happen_by_time_and_at_one_moment_as_they_were_put_down() -> None:
    agenda, happened = Agenda(), list[str]()

    def note(word: str) -> object:
        async def happens() -> None:
            happened.append(word)

        return happens

    for at_ms, word in [(5, "late"), (1, "first"), (1, "second"), (0, "soonest"), (1, "third")]:
        agenda.at(at_ms, note(word))  # type: ignore[arg-type]
    agenda.at(1, note("struck")).strike()  # type: ignore[arg-type]
    moments = []
    while (next_ms := agenda.next_ms()) is not None:
        moments.append(next_ms)
        await agenda.take().happens()

    assert happened == ["soonest", "first", "second", "third", "late"]
    assert moments == [0, 1, 1, 1, 5]


def test_time_does_not_go_back() -> None:
    clock = VirtualClock()
    clock.advance(7)

    with pytest.raises(ValueError, match="time stands at 7 ms and cannot go back to 6 ms"):
        clock.advance(6)
