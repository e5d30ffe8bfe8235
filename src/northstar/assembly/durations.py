"""What is known of durations, from the history of the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from northstar.assembly.job_past import history_of
from northstar.assembly.session import Session
from northstar.broker.durations import Durations
from northstar.broker.learned_summary import read_learned
from northstar.config import Settings
from northstar.domain.errors import Unavailable
from northstar.domain.estimates import FinishedRun
from northstar.domain.events import EventId
from northstar.policy.routing.duration import DurationEstimator
from northstar.store.history import HistoryDatabase
from northstar.store.history.attempt_reader import AttemptReader
from northstar.telemetry import logger

log = logger(__name__)

#: Runs that a command learns from, which shall answer at once.
_OF_A_COMMAND: Final = 2_000
_LOOK_EVERY_S: Final = 5.0


class RunsInHistory:
    """Finished runs of a cell as the estimator wants them: whole pages, with places that are text."""

    def __init__(self, reader: AttemptReader) -> None:
        self._reader = reader

    async def cursor_before_last(self, count: int) -> str:
        """A place after which the last `count` runs are recorded. Raises Unavailable."""
        return str(await self._reader.place_of_latest(count))

    async def finished_runs(self, after: str, count: int) -> tuple[list[FinishedRun], str]:
        """At least `count` runs recorded after a place if there are so many, and where to go on. Raises Unavailable."""
        place, found = EventId.parse(after), list[FinishedRun]()
        while len(found) < count:
            # A page leaves out runs that were not measured, so it may be short, or empty, before the end.
            runs, reached = await self._reader.finished_runs(place, count)
            found += runs
            if reached == place:
                break
            place = reached
        return found, str(place)


class NoRuns:
    """Of a cell whose history cannot be read: nothing is learned, and jobs are estimated by rules."""

    async def cursor_before_last(self, count: int) -> str:  # noqa: ARG002 -- there are none
        """The only place."""
        return ""

    async def finished_runs(self, after: str, count: int) -> tuple[list[FinishedRun], str]:  # noqa: ARG002
        """None."""
        return [], after


def durations_of(settings: Settings, database: HistoryDatabase, *, cell: str) -> Durations:
    """Durations of a process that lives; it learns while it runs."""
    source = RunsInHistory(AttemptReader(database, cell=cell))
    return Durations(source, every_s=_LOOK_EVERY_S, past=settings.routing.learn_from_runs)


@asynccontextmanager
async def learned_durations(broker: Session) -> AsyncIterator[Durations]:
    """Durations for one command: what the cell's brokers have learned, as of their latest summary, and the runs that came after it.

    Without a summary, or with one that is older than the latest runs that a command learns from, these alone. Where the history cannot be
    read from here, the summary counts as it is; without that too, jobs are estimated by rules, their estimates say so, and so does the log.
    """
    try:
        async with history_of(broker) as database:
            durations = await _durations_with_history(broker, AttemptReader(database, cell=broker.cell.name))
            while await durations.turn():
                pass
    except Unavailable as exc:
        durations = await _durations_of_the_cell(broker, because=exc)
    yield durations


async def _durations_with_history(broker: Session, reader: AttemptReader) -> Durations:
    """What is known before the first turn, which learns at most as many runs as a command may. Raises Unavailable."""
    count = min(_OF_A_COMMAND, broker.settings.routing.learn_from_runs)
    source = RunsInHistory(reader)
    if count:
        found = await read_learned(broker.cell)
        known_to = None if found is None else _place(found[0].after)
        if found is not None and known_to is not None and known_to >= await reader.place_of_latest(count):
            estimator = DurationEstimator.knowing(found[0])
            return Durations(source, every_s=_LOOK_EVERY_S, past=count, estimator=estimator, after=str(known_to))
    return Durations(source, every_s=_LOOK_EVERY_S, past=count)


def _place(text: str) -> EventId | None:
    """None where a summary does not say up to where it knows, or says it in a way that is not this one's."""
    try:
        return EventId.parse(text)
    except ValueError:
        return None


async def _durations_of_the_cell(broker: Session, *, because: Unavailable) -> Durations:
    """What brokers tell of the runs that cannot be read from here. Raises Unavailable: the cell does not answer."""
    found = await read_learned(broker.cell) if broker.settings.routing.learn_from_runs else None
    if found is None:
        log.warning("durations_by_rules", code=because.code, error=str(because))
        return Durations(NoRuns(), every_s=_LOOK_EVERY_S, past=0, is_blind=True)
    learned, as_of_ms = found
    log.debug("durations_of_the_cell", as_of_ms=as_of_ms, keys=len(learned.keys), code=because.code)
    return Durations(NoRuns(), every_s=_LOOK_EVERY_S, past=0, estimator=DurationEstimator.knowing(learned))
