"""What keeps the estimator of durations fed."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from northstar.broker.durations import PAGE, RUNS_AT_ONCE, Durations
from northstar.domain.errors import Unavailable
from northstar.domain.estimates import FinishedRun
from northstar.domain.workloads import Workload
from northstar.policy.routing import duration_telling
from northstar.policy.routing.duration import JobToTime
from northstar.policy.routing.duration_summary import Learned, Said, said
from northstar.policy.routing.duration_telling import TOLD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

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


class _Turns:
    """Notes a figure each time that others have their turn."""

    def __init__(self, figure: Callable[[], int]) -> None:
        self._figure = figure
        self.noted: list[int] = []

    async def during(self, work: Awaitable[object]) -> None:
        doing = asyncio.ensure_future(work)
        while not doing.done():
            self.noted.append(self._figure())
            await asyncio.sleep(0)
        self.noted.append(self._figure())
        await doing

    @property
    def most_at_once(self) -> int:
        return max(after - before for before, after in pairwise(self.noted))


async def test_while_runs_are_learned_others_have_their_turn_after_a_few() -> None:
    durations = Durations(_Runs([_run(20.0)] * 500), every_s=1.0)
    turns = _Turns(lambda: durations.learned)
    await turns.during(durations.turn())
    assert durations.learned == 500
    assert turns.most_at_once == RUNS_AT_ONCE


async def test_while_the_summary_is_made_others_have_their_turn_after_a_few_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a thousand graphs: how many keys are told between two turns of others."""
    told = 0

    def counted(weight: float, mean: float, runs: int, *work: float) -> Said:
        nonlocal told
        told += 1
        return said(weight, mean, runs, *work)

    monkeypatch.setattr(duration_telling, "said", counted)
    runs = [msgspec.structs.replace(_run(20.0), shape=f"s{number}") for number in range(1_000)]
    durations = Durations(_Runs(runs), every_s=1.0)
    await durations.turn()
    turns = _Turns(lambda: told)
    await turns.during(durations.summary(most_keys=2_000))
    assert told == 2_000
    assert turns.most_at_once == TOLD


async def test_a_summary_knows_all_runs_up_to_the_place_that_it_names_and_none_beyond() -> None:
    """Runs that come while it is made wait for it."""
    source = _Runs([msgspec.structs.replace(_run(20.0), shape=f"s{number}") for number in range(200)])
    durations = Durations(source, every_s=1.0)
    await durations.turn()
    source.runs += [_run(20.0)] * 100
    for order in ("summary first", "runs first"):
        both = [durations.summary(most_keys=1_000), durations.turn()]
        made, *_ = [one for one in await asyncio.gather(*(both if order == "summary first" else both[::-1])) if one]
        assert isinstance(made, Learned)
        (service,) = [classes[""].runs for key, classes in made.keys if key[0] == "service"]
        assert made.after == str(service)
        source.runs += [_run(20.0)] * 100
    assert durations.learned == 400


async def test_who_knows_the_runs_up_to_a_place_learns_those_that_come_after_it() -> None:
    source = _Runs([_run(900.0)] * 5 + [_run(20.0)] * 5)
    durations = Durations(source, every_s=1.0, after="5")
    await durations.turn()
    assert durations.learned == 5
    assert durations.estimate(_JOB).p50_s == pytest.approx(20.0)
