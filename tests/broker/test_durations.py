"""What keeps the estimator of durations fed."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest

from northstar.broker.durations import Durations
from northstar.domain.errors import Unavailable
from northstar.domain.estimates import DurationEstimate, FinishedRun
from northstar.domain.events import EventId
from northstar.domain.workloads import Workload


class _HistoryAway(Unavailable):
    code: ClassVar[str] = "NS_TEST_HISTORY_AWAY"


class _Runs:
    """A history in a list; a place is how many runs come before it."""

    def __init__(self, runs: list[FinishedRun]) -> None:
        self.runs = runs
        self.is_away = False
        self.pages = 0

    async def place_of_latest(self, count: int) -> EventId:
        self._answer()
        return EventId(0, max(0, len(self.runs) - count))

    async def finished_runs(self, after: EventId, count: int) -> tuple[list[FinishedRun], EventId]:
        self._answer()
        self.pages += 1
        found = self.runs[after.sequence : after.sequence + count]
        return found, EventId(0, after.sequence + len(found))

    def _answer(self) -> None:
        if self.is_away:
            raise _HistoryAway("the history does not answer")


def _run(ran_s: float) -> FinishedRun:
    return FinishedRun(shape="a", service="picture", model="sdxl", user="ada", gpu_class="", ran_s=ran_s)


def _estimate(durations: Durations) -> DurationEstimate:
    return durations.estimate(
        Workload(shape="a"), service="picture", model="sdxl", user="ada", gpu_class="", declared_s=None
    )


async def test_at_first_it_learns_the_latest_runs_only_and_later_those_that_come() -> None:
    """Each once."""
    source = _Runs([_run(900.0)] * 5 + [_run(20.0)] * 5)
    durations = Durations(source, learn_from=5)
    assert await durations.look() == 5
    assert _estimate(durations).p50_s == pytest.approx(20.0)
    source.runs.append(_run(20.0))
    assert [await durations.look(), await durations.look()] == [1, 0]


async def test_while_the_history_is_away_estimates_go_on_and_what_was_missed_is_learned_later() -> None:
    """Looking goes on after a fault."""
    source, looks = _Runs([_run(20.0)] * 5), list[str]()
    source.is_away = True

    async def pause(_seconds: float) -> None:
        looks.append(_estimate(durations).source)
        source.is_away = False
        if len(looks) == 2:
            raise asyncio.CancelledError

    durations = Durations(source, learn_from=100, sleep=pause)
    with pytest.raises(asyncio.CancelledError):
        await durations.run()
    assert looks == ["rules", "user"]


async def test_an_impossible_run_holds_up_no_other() -> None:
    """Bad input loses nothing."""
    durations = Durations(_Runs([_run(20.0), _run(float("nan")), _run(20.0)]), learn_from=100)
    assert await durations.look() == 2
    assert _estimate(durations).runs == 2


async def test_without_a_history_rules_are_what_is_known() -> None:
    """Nothing is read."""
    durations = Durations(None, learn_from=100)
    assert (await durations.look(), _estimate(durations).source) == (0, "rules")
