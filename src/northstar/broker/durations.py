"""What a process knows of durations: an estimator that is fed with finished runs from the history."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from northstar.domain.errors import NorthstarError
from northstar.domain.events import EventId
from northstar.policy.routing.duration import DurationEstimator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.domain.estimates import DurationEstimate, FinishedRun
    from northstar.domain.workloads import Workload

log = structlog.get_logger(__name__)

_PAGE: Final = 1_000
#: Runs learned before others have their turn: a few milliseconds.
_PER_TURN: Final = 50
#: Pages of one look, so that a flood of runs ends it nevertheless; the rest follows in the next.
MAX_PAGES: Final = 100


class RunsSource(Protocol):
    """Gives finished runs, in the order in which they ended."""

    async def finished_runs(self, after: EventId, count: int) -> tuple[list[FinishedRun], EventId]:
        """Runs after that place, and where to go on. Raises Unavailable."""
        ...

    async def place_of_latest(self, count: int) -> EventId:
        """The place after which the latest `count` runs come. Raises Unavailable."""
        ...


class Durations:
    """Estimates of one cell. Where the history does not answer, what is known already goes on to count."""

    def __init__(
        self,
        source: RunsSource | None,
        *,
        learn_from: int,
        look_every_s: float = 5.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`learn_from` of the latest runs are read at the beginning; without a source nothing is learned."""
        self._source = source
        self._learn_from = learn_from
        self._every_s = look_every_s
        self._sleep = sleep
        self._estimator = DurationEstimator()
        self._after: EventId | None = None

    def estimate(
        self, workload: Workload, *, service: str, model: str, user: str, gpu_class: str, declared_s: float | None
    ) -> DurationEstimate:
        """Seconds of the work itself on that class of GPU; empty: on none in particular."""
        return self._estimator.estimate(
            workload, service=service, model=model, user=user, gpu_class=gpu_class, declared_s=declared_s
        )

    async def look(self) -> int:
        """Learn from what has ended since the last look; gives how many runs. Raises Unavailable."""
        if self._source is None or not self._learn_from:
            return 0
        after = self._after if self._after is not None else await self._source.place_of_latest(self._learn_from)
        learned = 0
        for _ in range(MAX_PAGES):
            runs, self._after = await self._source.finished_runs(after, _PAGE)
            for number, run in enumerate(runs):
                learned += self._learn(run)
                if number % _PER_TURN == 0:
                    await asyncio.sleep(0)
            if self._after == after:
                break
            after = self._after
        return learned

    def _learn(self, run: FinishedRun) -> bool:
        verdict = self._estimator.learn(run)
        if verdict != "learned":
            log.warning("finished_run_ignored", why=verdict, service=run.service, model=run.model, ran_s=run.ran_s)
        return verdict == "learned"

    async def run(self) -> None:
        """Look now and then until cancelled. A history that does not answer is asked again, with a line in the log."""
        while True:
            try:
                await self.look()
            except NorthstarError as exc:
                log.warning("durations_not_learned", code=exc.code, error=str(exc))
            await self._sleep(self._every_s)
