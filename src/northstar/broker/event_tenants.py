"""Whose jobs events are about: the event of a submission says it, and the others are looked up by the batch."""

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

#: Jobs whose tenant is remembered; those not heard of for the longest time go.
MOST_KNOWN: Final = 50_000
_SUBMITTED: Final = "job.submitted"


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
        said = {event.subject for event in events if event.kind == _SUBMITTED}
        unknown = {e.subject for e in events if is_of_job(e) and e.subject not in self._known and e.subject not in said}
        for job_id, tenant in (await self._looked_up(sorted(unknown))).items():
            self._remember(job_id, tenant)
        tenants: list[str] = []
        for event in events:
            if event.kind == _SUBMITTED:
                self._remember(event.subject, str(event.data.get("tenant") or ""))
            elif event.subject in self._known:
                self._known.move_to_end(event.subject)
            tenants.append(self._known.get(event.subject, "") if is_of_job(event) else "")
        self._forget()
        return tenants

    async def of_past(self, events: Sequence[Event]) -> list[str]:
        """Of events that are in the history: an id may have been another tenant's job then."""
        ids = sorted({event.subject for event in events if is_of_job(event)})
        lives = await self._pages.submissions(ids)
        others = await self._looked_up([job_id for job_id in ids if job_id not in lives])
        return [
            _at(event.id, lives[event.subject]) if event.subject in lives else others.get(event.subject, "")
            for event in events
        ]

    async def _looked_up(self, job_ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for first in range(0, len(job_ids), CHUNK):
            reply = await self._cell.inspect(job_ids[first : first + CHUNK])
            found |= {job.id: job.record.tenant for job in reply.jobs}
        gone = [job_id for job_id in job_ids if job_id not in found]
        return found | (await self._pages.tenants(gone) if gone else {})

    def _remember(self, job_id: str, tenant: str) -> None:
        self._known[job_id] = tenant
        self._known.move_to_end(job_id)

    def _forget(self) -> None:
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def _at(event_id: EventId, lives: Iterable[tuple[EventId, str]]) -> str:
    """Whose job it was when this happened; empty before the first submission that is known."""
    return next((tenant for since, tenant in sorted(lives, reverse=True) if since <= event_id), "")
