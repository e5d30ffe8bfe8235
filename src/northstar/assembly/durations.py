"""What is known of durations, from the history of the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from northstar.assembly.job_past import HistoryUnreadable, history_of
from northstar.assembly.session import Session
from northstar.broker.durations import Durations
from northstar.config import Settings
from northstar.domain.errors import Unavailable
from northstar.store.history import HistoryDatabase
from northstar.store.history.attempt_reader import AttemptReader

log = structlog.get_logger(__name__)

#: Runs that a command learns from, which shall answer at once.
_OF_A_COMMAND: Final = 2_000


def durations_of(settings: Settings, database: HistoryDatabase, *, cell: str) -> Durations:
    """Durations of a process that lives; it learns while it runs."""
    return Durations(AttemptReader(database, cell=cell), learn_from=settings.routing.learn_from_runs)


@asynccontextmanager
async def learned_durations(broker: Session) -> AsyncIterator[Durations]:
    """Durations for one command, learned from the latest runs. Without a history, jobs are estimated by rules, and the log says so."""
    try:
        async with history_of(broker) as database:
            count = min(_OF_A_COMMAND, broker.settings.routing.learn_from_runs)
            durations = Durations(AttemptReader(database, cell=broker.cell.name), learn_from=count)
            await durations.look()
    except (HistoryUnreadable, Unavailable) as exc:
        log.warning("durations_by_rules", code=exc.code, error=str(exc))
        durations = Durations(None, learn_from=0)
    yield durations
