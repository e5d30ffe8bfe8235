"""What keeps the estimator of durations fed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from northstar.broker.durations import PAGE, Durations
from northstar.domain.errors import Unavailable
from northstar.domain.estimates import FinishedRun
from northstar.domain.workloads import Workload
from northstar.policy.routing.duration import JobToTime

if TYPE_CHECKING:
    from collections.abc import Sequence

_JOB = JobToTime(service="picture", workload=Workload(shape="a"), model="sdxl", user="ada")


class _HistoryAway(Unavailable):
    code: ClassVar[str] = "NS_TEST_HISTORY_AWAY"


class _Runs:
    """A history in a list; a place is how many runs come before it."""

    def __init__(self, runs: list[FinishedRun]) -> None:
        self.runs = runs
        self.is_away = False
        self.asked: list[int] = []

    async def cursor_before_last(self, count: int) -> str:
        self._answer()
        return str(max(0, len(self.runs) - count))

    async def finished_runs(self, after: str, count: int) -> tuple[Sequence[FinishedRun], str]:
        self._answer()
        self.asked.append(count)
        found = self.runs[int(after) : int(after) + count]
        return found, str(int(after) + len(found))

    def _answer(self) -> None:
        if self.is_away:
            raise _HistoryAway("the history does not answer")


def _run(ran_s: float) -> FinishedRun:
    return FinishedRun(shape="a", service="picture", model="sdxl", user="ada", gpu_class="", ran_s=ran_s)


async def test_at_start_it_learns_the_last_runs_only_and_later_those_that_come() -> None:
    """Each once."""
    source = _Runs([_run(900.0)] * 5 + [_run(20.0)] * 5)
    durations = Durations(source, every_s=1.0, past=5)
    assert await durations.turn() is False
    assert durations.learned == 5
    assert durations.estimate(_JOB).p50_s == pytest.approx(20.0)
    source.runs.append(_run(20.0))
    await durations.turn()
    await durations.turn()
    assert durations.learned == 6


async def test_while_the_history_is_away_estimates_go_on_and_what_it_missed_is_learned_later() -> None:
    """The fault has its code."""
    source = _Runs([_run(20.0)] * 5)
    durations = Durations(source, every_s=1.0)
    source.is_away = True
    with pytest.raises(_HistoryAway):
        await durations.turn()
    assert durations.estimate(_JOB).source == "rules"
    source.is_away = False
    await durations.turn()
    assert durations.estimate(_JOB).source == "user"


async def test_an_impossible_run_is_counted_as_ignored_and_holds_up_no_other() -> None:
    """Bad input loses nothing."""
    durations = Durations(_Runs([_run(20.0), _run(float("nan")), _run(20.0)]), every_s=1.0)
    await durations.turn()
    assert (durations.learned, durations.ignored) == (2, 1)


async def test_a_long_history_is_read_page_by_page_over_several_turns() -> None:
    """One turn is bounded; the next goes on where it stopped."""
    source = _Runs([_run(20.0)] * (PAGE * 21))
    durations = Durations(source, every_s=1.0)
    assert await durations.turn() is True
    assert durations.learned == 20 * PAGE
    assert await durations.turn() is False
    assert (durations.learned, set(source.asked)) == (21 * PAGE, {PAGE})
