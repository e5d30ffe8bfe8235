"""Keeps an estimator of durations fed with finished runs: at start the last of the history, then what comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from northstar.domain.errors import NorthstarError
from northstar.policy.routing.duration import DurationEstimator
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.domain.estimates import DurationEstimate, FinishedRun
    from northstar.policy.routing.duration import JobToTime
    from northstar.policy.routing.duration_summary import Learned
    from northstar.policy.routing.gpu_pace import GpuPaces

log = logger(__name__)

#: Runs that a start reads back, and runs per call.
MAX_PAST: Final = 50_000
PAGE: Final = 1_000
#: Calls of one turn, so that a flood of runs holds nothing else up; the rest follows in the next.
_PAGES_PER_TURN: Final = 20
#: About 1 ms of work, and 2 to 3 where many machines have run the same; then others get their turn.
RUNS_AT_ONCE: Final = 20


class RunsSource(Protocol):
    """Where finished runs are read, the earliest recorded first."""

    async def cursor_before_last(self, count: int) -> str:
        """A place after which at most `count` runs are recorded, the last ones. Raises Unavailable."""
        ...

    async def finished_runs(self, after: str, count: int) -> tuple[Sequence[FinishedRun], str]:
        """At most `count` runs recorded after a place, and the place of the last of them (`after` if none). Raises Unavailable."""
        ...


class Durations:
    """Estimates for one cell, always answering: while the history cannot be read, by what was learned before."""

    def __init__(
        self,
        source: RunsSource,
        *,
        every_s: float,
        past: int = MAX_PAST,
        estimator: DurationEstimator | None = None,
        after: str | None = None,
        is_blind: bool = False,
    ) -> None:
        """A turn every `every_s` seconds; `past` runs are read back at start, at most 50,000.

        `estimator` may know runs already: with `after`, all that are recorded up to that place, and only what comes after it is read.
        `is_blind`: nobody could say whether there were any.
        """
        self._source = source
        self._every_s = every_s
        self._past = min(past, MAX_PAST)
        self._estimator = estimator or DurationEstimator()
        self._is_blind = is_blind
        self._after = after
        #: Held while a page is learned and while a summary is made, so that a summary knows whole pages up to a place.
        self._pages = asyncio.Lock()
        self.learned = 0
        self.ignored = 0

    def estimate(self, job: JobToTime) -> DurationEstimate:
        """What the job is expected to take. Its source says where runs could not be looked up at all."""
        estimate = self._estimator.estimate(job)
        if self._is_blind and estimate.source == "rules":
            return msgspec.structs.replace(estimate, source="rules-without-history")
        return estimate

    async def summary(self, *, most_keys: int) -> Learned:
        """What was learned until now, at most so many keys of it, and up to which place of the history; others have their turn meanwhile."""
        async with self._pages:
            making = self._estimator.summary(most_keys=most_keys)
            while True:
                try:
                    next(making)
                except StopIteration as made:
                    learned: Learned = made.value
                    return msgspec.structs.replace(learned, after=self._after or "")
                await asyncio.sleep(0)

    def run_times(self, job: JobToTime, gpu_classes: Iterable[str]) -> dict[str, float]:
        """Seconds that the job takes by class of GPU, where runs say it."""
        return self._estimator.run_times(job, gpu_classes)

    def paces(self) -> GpuPaces:
        """How fast classes of GPU are beside each other."""
        return self._estimator.paces()

    async def run(self) -> None:
        """Turns for ever; one that fails is told and tried again."""
        while True:
            more = False
            try:
                more = await self.turn()
            except NorthstarError as exc:
                log.warning("finished_runs_not_read", code=exc.code, error=str(exc))
            await asyncio.sleep(0 if more else self._every_s)

    async def turn(self) -> bool:
        """Learn what is new, within bounds; True if there may be more. What was read before a fault stays learned. Raises Unavailable."""
        if self._after is None:
            self._after = await self._source.cursor_before_last(self._past)
        for _ in range(_PAGES_PER_TURN):
            runs, after = await self._source.finished_runs(self._after, PAGE)
            async with self._pages:
                for number, run in enumerate(runs, 1):
                    self._learn(run)
                    if number % RUNS_AT_ONCE == 0:
                        await asyncio.sleep(0)
                self._after = after
            if len(runs) < PAGE:
                return False
        return True

    def _learn(self, run: FinishedRun) -> None:
        verdict = self._estimator.learn(run)
        if verdict == "learned":
            self.learned += 1
            return
        self.ignored += 1
        log.warning(
            "finished_run_ignored", why=verdict, service=run.service, model=run.model, ran_s=run.ran_s, work=run.work
        )
