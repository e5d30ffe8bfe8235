"""What is known of jobs beside their records: from the history, and from the events that are still on their way there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.waiting_events import look_through, waiting_events
from northstar.domain.errors import Unavailable
from northstar.domain.events import Event
from northstar.domain.told_events import JOB_KINDS
from northstar.store.history import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.errors import NorthstarError
    from northstar.domain.jobs import JobView
    from northstar.store.cell import Cell
    from northstar.store.history import HistoryReader

_PAGE: Final = 1_000
#: Events told of one job.
MAX_EVENTS: Final = 10_000
#: Seconds that an answer waits for what it can do without.
_SOON_S: Final = 1.0


class KnownPast(msgspec.Struct, frozen=True):
    """Events in order; not whole where the latest are left out."""

    events: list[Event]
    is_whole: bool


class JobPast:
    """The past of one cell's jobs. Without a `reader`, `fault` says why the history cannot be read from here."""

    def __init__(self, cell: Cell, reader: HistoryReader | None, *, fault: NorthstarError | None = None) -> None:
        self._cell = cell
        self._reader = reader
        self.fault = fault

    async def known(self, job_id: str) -> KnownPast:
        """What happened to jobs of this id, in order; only what is not in the history yet where that cannot be read.

        An id may have been several jobs': `read_life` says which of the events are the last one's.

        Raises:
            Unavailable: cell or history do not answer.
        """
        # First what waits: it may be in the history, and nowhere else, a moment later.
        waiting = await look_through(self._cell, {job_id})
        found: list[Event] = []
        after, has_all = BEGINNING, True
        while self._reader is not None and len(found) < MAX_EVENTS:
            page = await self._reader.job_events(job_id, after=after, count=_PAGE, of=JOB_KINDS)
            found += page.events
            has_all = page.after is None
            if page.after is None:
                break
            after = page.after
        latest = found[-1].id if found else BEGINNING
        young = [event for event in waiting.events if event.id > latest and event.kind.startswith(JOB_KINDS)]
        return KnownPast([*found, *young] if has_all else found, is_whole=has_all and waiting.is_whole)

    async def machines(self, job_ids: Sequence[str]) -> dict[str, str]:
        """The machines that ran finished jobs last, as far as they are known. Raises Unavailable."""
        found = await self._recorded(job_ids)
        missing = [job_id for job_id in job_ids if job_id not in found]
        if not missing:
            return found
        # Reading what waits costs the more the further the history is behind, so only who is not there yet is looked for in it.
        waiting = await waiting_events(self._cell, set(missing))
        found |= {event.subject: str(event.data["machine"]) for event in waiting if event.data.get("machine")}
        # Who is in neither may have come from the one into the other between the two looks.
        return found | await self._recorded([job_id for job_id in missing if job_id not in found])

    async def _recorded(self, job_ids: Sequence[str]) -> dict[str, str]:
        if not job_ids or self._reader is None:
            return {}
        return await self._reader.machines(job_ids)

    async def with_machines(self, views: Sequence[JobView]) -> list[JobView]:
        """Finished jobs with the machine that ran them last: their record has given it up with their lease. Raises Unavailable."""
        # One that never started had none.
        machines = await self.machines([view.id for view in views if view.status.is_final and view.started_ms])
        return [msgspec.structs.replace(view, machine=view.machine or machines.get(view.id, "")) for view in views]

    async def with_machines_if_told(self, views: Sequence[JobView]) -> list[JobView]:
        """As `with_machines`; without them where they cannot be had soon: a history that is away keeps nobody from the jobs themselves."""
        try:
            async with asyncio.timeout(_SOON_S):
                return await self.with_machines(views)
        except (Unavailable, TimeoutError):
            return list(views)
