"""Whose jobs events are about: the event of a submission says it, and the others are looked up by the batch.

A job that arrived from another cell brought no event that says it. While this cell knows the job its record does; afterwards it is nobody's,
which is told to keys of all tenants alone: the id may have been another tenant's here before.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from northstar.broker.job_views import CHUNK
from northstar.domain.told_events import is_of_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.broker.event_log import Passage
    from northstar.domain.events import Event, EventId
    from northstar.store.cell import Cell
    from northstar.store.history.event_pages import EventPages
    from northstar.store.messages import JobRecord

#: Jobs whose tenant is remembered; those not heard of for the longest time go.
MOST_KNOWN: Final = 50_000
_SUBMITTED: Final = "job.submitted"
_ARRIVED: Final = "job.arrived"


class EventTenants:
    """Tenants of one cell's jobs."""

    def __init__(self, cell: Cell, pages: EventPages) -> None:
        self._cell = cell
        self._pages = pages
        self._known: OrderedDict[str, str] = OrderedDict()

    async def of(self, passage: Passage) -> list[str]:
        """The tenant of each event's job, in order; empty where it is no job's or nobody knows. Raises Unavailable."""
        return await (self.of_past if passage.is_past else self.of_present)(passage.events)

    async def of_present(self, events: Sequence[Event]) -> list[str]:
        """Of events that the cell still has: it forgets a job only once the history has its last event, so no id was given again since."""
        begun = {event.subject for event in events if event.kind in {_SUBMITTED, _ARRIVED}}
        unknown = {e.subject for e in events if is_of_job(e) and not (e.subject in self._known or e.subject in begun)}
        for job_id, tenant in (await self._looked_up(sorted(unknown))).items():
            self._remember(job_id, tenant)
        arrived = {event.subject: event.id for event in events if event.kind == _ARRIVED}
        here = await self._in_cell(sorted(arrived))
        tenants: list[str] = []
        for event in events:
            if event.kind == _SUBMITTED:
                self._remember(event.subject, str(event.data.get("tenant") or ""))
            elif event.kind == _ARRIVED:
                is_latest = arrived[event.subject] == event.id
                self._remember(event.subject, here.get(event.subject, "") if is_latest else "")
            elif event.subject in self._known:
                self._known.move_to_end(event.subject)
            tenants.append(self._known.get(event.subject, "") if is_of_job(event) else "")
        self._forget()
        return tenants

    async def of_past(self, events: Sequence[Event]) -> list[str]:
        """Of events that are in the history: an id may have been another tenant's job then."""
        ids = sorted({event.subject for event in events if is_of_job(event)})
        lives = await self._pages.submissions(ids)
        # Without a beginning that is kept, an id has had no other life that the history knows of.
        records = await self._records([job_id for job_id in ids if job_id not in lives])
        finished = await self._pages.tenants([job_id for job_id in ids if not (job_id in lives or job_id in records)])
        tenants: list[str] = []
        for event in events:
            job_id = event.subject
            if job_id in lives:
                tenants.append(_at(event.id, lives[job_id]))
            elif job_id in records:  # of a job that was submitted later it was not
                record = records[job_id]
                tenants.append(record.tenant if record.submitted_ms <= event.at_ms else "")
            else:
                tenants.append(finished.get(job_id, ""))
        return tenants

    async def _looked_up(self, job_ids: Sequence[str]) -> dict[str, str]:
        found = await self._in_cell(job_ids)
        gone = [job_id for job_id in job_ids if job_id not in found]
        if not gone:
            return found
        # What the history says of finished jobs may be of an earlier one than that which arrived last.
        lives = await self._pages.submissions(gone)
        found |= {job_id: max(lives[job_id])[1] for job_id in gone if job_id in lives}
        return found | await self._pages.tenants([job_id for job_id in gone if job_id not in lives])

    async def _in_cell(self, job_ids: Sequence[str]) -> dict[str, str]:
        return {job_id: record.tenant for job_id, record in (await self._records(job_ids)).items()}

    async def _records(self, job_ids: Sequence[str]) -> dict[str, JobRecord]:
        found: dict[str, JobRecord] = {}
        for first in range(0, len(job_ids), CHUNK):
            reply = await self._cell.inspect(job_ids[first : first + CHUNK])
            found |= {job.id: job.record for job in reply.jobs}
        return found

    def _remember(self, job_id: str, tenant: str) -> None:
        self._known[job_id] = tenant
        self._known.move_to_end(job_id)

    def _forget(self) -> None:
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def _at(event_id: EventId, lives: Iterable[tuple[EventId, str]]) -> str:
    """Whose job it was when this happened; empty before the first beginning that is known, and where that does not say it."""
    return next((tenant for since, tenant in sorted(lives, reverse=True) if since <= event_id), "")
