"""Whether a simulation meets the goals, known as early as its jobs allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from northstar.evaluation.planning.goals import Goal
from northstar.policy.fleet.cheapest_fleet import Until
from northstar.simulation.outcome import JobOutcome
from northstar.simulation.scenario.progress import Tally

#: Shares are sums of ones; this is less than any job counts for.
_ROUNDING: Final = 1e-9


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a goal in one group of jobs."""

    #: The part of the fleet whose jobs these are.
    part: str
    #: The pools in which they were wanted, with `+` between; empty: any.
    pools: str
    goal: str
    #: Jobs of the window that were not cancelled, and those of them that met the goal.
    jobs: int
    within: int
    #: Of those that missed it: how many had to wait for a base model to be fetched.
    late_cold: int
    #: None: the simulation was broken off before it was settled.
    met: bool | None
    #: How far the share reached is above the goal's.
    margin: float

    @property
    def share(self) -> float | None:
        """Of the jobs, those that met the goal; None where there are none."""
        return self.within / self.jobs if self.jobs else None

    @property
    def late(self) -> int:
        """Those that missed it."""
        return self.jobs - self.within


class Aim(NamedTuple):
    """A goal for jobs of a part."""

    #: By its place.
    part: int
    goal: Goal
    #: Jobs that the matrix wanted in one of these; empty: all of them.
    pools: frozenset[str]

    @property
    def pools_said(self) -> str:
        """The pools in one word."""
        return "+".join(sorted(self.pools))


class Settled(Exception):
    """What was asked of a simulation is known; the rest of it would change nothing."""


class _Group:
    """The jobs of an aim."""

    def __init__(self, aim: Aim) -> None:
        self.part = aim.part
        self.goal = aim.goal
        self.pools = aim.pools
        self.pools_said = aim.pools_said
        self.jobs = 0
        self.within = 0
        self.late_cold = 0

    def add(self, job: JobOutcome) -> None:
        self.jobs += 1
        if _is_within(self.goal, job):
            self.within += 1
        else:
            self.late_cold += job.is_cold

    def settled(self, remaining: int) -> bool | None:
        """Whether it is met, whatever becomes of the jobs that remain; None: that depends on them."""
        jobs = self.jobs + remaining
        if self.within + remaining < self.goal.share * jobs - _ROUNDING:
            return False
        return True if self.within >= self.goal.share * jobs - _ROUNDING else None

    @property
    def margin(self) -> float:
        return self.within / self.jobs - self.goal.share if self.jobs else 1 - self.goal.share


class Judge(Tally):
    """Counts a run like any other, and beside that holds it against the goals."""

    def __init__(
        self,
        aims: Sequence[Aim],
        *,
        parts: Sequence[str],
        pool_of: Callable[[JobOutcome], str],
        jobs: int,
        asked: Sequence[int],
        until: Until,
        from_ms: int,
        until_ms: int | None,
    ) -> None:
        """Judge the jobs submitted from `from_ms` to before `until_ms`.

        Args:
            aims: which part is held against which goal.
            parts: their names.
            pool_of: the pool that the matrix wanted for a job. One that no aim is for counts where it ran; if there is none for that either, it counts everywhere.
            jobs: how many there are in the window.
            asked: parts that are in question.
            until: `each`: go on until every part in question is known to be too small; `all`: until one is; `end`: to the end.
            from_ms: where the window begins.
            until_ms: where it ends; None: with the simulation.
        """
        super().__init__(from_ms=from_ms, until_ms=until_ms)
        self._window = (from_ms, math.inf if until_ms is None else until_ms)
        self._groups = [_Group(aim) for aim in aims]
        self._parts = parts
        self._pool_of = pool_of
        self._known = frozenset(pool for aim in aims for pool in aim.pools)
        self._remaining = jobs
        self._asked = frozenset(asked)
        self._until = until
        self._short: set[int] = set()

    def add(self, job: JobOutcome) -> None:
        """A job has ended. Raises Settled: what was asked is known."""
        super().add(job)
        if not self._window[0] <= job.submitted_ms < self._window[1]:
            return
        self._remaining -= 1
        if job.ending == "canceled":
            return
        pool = self._pool_of(job)
        if pool not in self._known:
            pool = job.pool
        is_nobodys = pool not in self._known
        for group in self._groups:
            if not group.pools or pool in group.pools or is_nobodys:
                group.add(job)
                if group.settled(self._remaining) is False:
                    self._short.add(group.part)
        if self._until == "end" or not self._asked or not self._short:
            return
        if self._asked & self._short if self._until == "all" else self._asked <= self._short:
            raise Settled

    def verdicts(self, *, is_whole: bool) -> tuple[Judged, ...]:
        """Of each part and goal; `is_whole`: the simulation came to its end."""
        remaining = 0 if is_whole else self._remaining
        return tuple(
            Judged(
                part=self._parts[group.part],
                pools=group.pools_said,
                goal=str(group.goal),
                jobs=group.jobs,
                within=group.within,
                late_cold=group.late_cold,
                met=group.settled(remaining),
                margin=round(group.margin, 9),
            )
            for group in self._groups
        )


def _is_within(goal: Goal, job: JobOutcome) -> bool:
    if job.began_ms is None:
        return False
    if goal.what == "wait":
        return job.began_ms - job.submitted_ms < goal.below_ms
    return job.ending in {"succeeded", "failed"} and job.ended_ms - job.submitted_ms < goal.below_ms
