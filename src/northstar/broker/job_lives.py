"""The last life of a job's id: what happened to the job that has the id now, or had it last.

An id may be given again once its job is forgotten, perhaps by another tenant, and a machine may have the same name. Story, stream, explanation
and page read a job's events here and nowhere else, so none of them tells of anything but this one job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.events import Event
from northstar.domain.told_events import is_of_job
from northstar.store.messages import InspectedJob, JobRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.broker.job_past import JobPast
    from northstar.store.cell import Cell

#: What the life of a job in a cell begins with.
BEGINNINGS: Final = frozenset({"job.submitted", "job.arrived"})
#: Looks until events and record are of one moment.
_LOOKS: Final = 3


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a job: its events in order, and its record while the queue has it."""

    events: tuple[Event, ...]
    job: InspectedJob | None
    #: Empty where nobody knows any more: such a life is told to keys of all tenants alone.
    tenant: str
    #: Whether its latest events are among them; not so while the history is far behind, or where there are more than are told.
    is_whole: bool

    @property
    def max_attempts(self) -> int:
        """How often it may fail; 0: the queue has forgotten it."""
        return 0 if self.job is None else self.job.record.max_attempts


async def read_life(cell: Cell, past: JobPast, job_id: str) -> Life:
    """The last life of an id; without events or a record where there is none. Raises Unavailable."""
    for look in range(_LOOKS):
        known = await past.known(job_id)
        # Looked at after its events: whatever is of a later life than they are is seen.
        jobs = (await cell.inspect([job_id])).jobs
        life = last_life(known.events)
        if not jobs:
            return Life(events=tuple(life), job=None, tenant=tenant_of(life), is_whole=known.is_whole)
        record = jobs[0].record
        is_own = _is_of(life, record)
        if is_own or not known.is_whole or look == _LOOKS - 1:
            break
    return Life(
        events=tuple(life) if is_own else (),
        job=jobs[0],
        tenant=record.tenant,
        is_whole=known.is_whole and (is_own or not life),
    )


def last_life(events: Iterable[Event]) -> list[Event]:
    """The events of the last job among those of one subject. Each job's are numbered anew, should its beginning be lost."""
    life: list[Event] = []
    for event in events:
        if not is_of_job(event):
            continue
        if life and (event.kind in BEGINNINGS or _is_numbered_anew(life[-1], event)):
            life.clear()
        life.append(event)
    return life


def tenant_of(life: Sequence[Event]) -> str:
    """Whose job it was that these events tell of; empty where their beginning is lost, or does not say it: an arrival names no tenant."""
    return str(life[0].data.get("tenant") or "") if life and life[0].kind in BEGINNINGS else ""


def _is_numbered_anew(before: Event, event: Event) -> bool:
    # A cell whose server was replaced may number the same job's events again.
    return event.number <= before.number and event.id.epoch == before.id.epoch


def _is_of(life: Sequence[Event], record: JobRecord) -> bool:
    """Whether the events are of the job that has the id now: its tenant's, or the very last that happened to it is among them."""
    if not life:
        return False
    tenant = tenant_of(life)
    return tenant == record.tenant if tenant else life[-1].id.sequence >= record.last_event
