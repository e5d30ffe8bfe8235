"""Events as clients are told them: who may see which, what they may ask for, and what is left out."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from northstar.domain.api_keys import Caller, Scope
from northstar.domain.events import Event
from northstar.domain.jobs import JobId, Tenant

#: Kinds of events after which a job does not change by itself any more.
FINAL_KINDS: Final = frozenset({"job.succeeded", "job.failed", "job.canceled", "job.expired", "job.moved"})
#: The beginning of the kinds of events that are about jobs.
JOB_KINDS: Final = "job."
#: Tokens of leases and sessions of machines are between them and their broker.
_LEFT_OUT: Final = frozenset({"session", "token"})
#: A part of a kind of event, from its beginning.
KindPrefix = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z_.]*$")]


class ToldEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, as clients are told it. `number` counts the events of a job from 1; 0 where it is no job's."""

    #: `epoch-sequence`: the position in the cell's history; later events have greater ones.
    id: str
    kind: str
    #: The job, machine, invite, document or scope that it is about.
    subject: str
    #: Whose job it is about; empty where it is no job's, or nobody knows any more.
    tenant: str
    number: int
    #: Ms since the epoch by the cell's clock.
    at_ms: int
    data: dict[str, Any]


class EventFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events are wanted; what is left out means any."""

    #: Beginnings of kinds, such as `job.` or `job.failed`.
    kinds: Annotated[tuple[KindPrefix, ...], msgspec.Meta(max_length=16)] = ()
    jobs: Annotated[tuple[JobId, ...], msgspec.Meta(max_length=100)] = ()
    tenant: Tenant | None = None

    def accepts(self, event: Event, tenant: str) -> bool:
        """Whether an event, about a job of this tenant, is wanted."""
        if self.jobs and (event.subject not in self.jobs or not is_of_job(event)):
            return False
        if self.tenant is not None and tenant != self.tenant:
            return False
        return not self.kinds or event.kind.startswith(self.kinds)


def is_of_job(event: Event) -> bool:
    """Whether it is about a job."""
    return event.kind.startswith(JOB_KINDS)


def may_see(caller: Caller, event: Event, tenant: str) -> bool:
    """Whether an event is a key's business.

    Events of jobs are their tenant's. What happens to machines and to the cell is everybody's work, so it is told to keys of all tenants
    alone; and what operators declare, which names keys and people, to `admin`.
    """
    if is_of_job(event):
        return caller.tenant is None or (tenant != "" and caller.reaches(tenant))
    if event.kind.startswith("document."):
        return caller.tenant is None and caller.may(Scope.ADMIN)
    return caller.tenant is None


def told(event: Event, tenant: str) -> ToldEvent:
    """An event for clients: without what is between machines and brokers, and with what a machine measured as it measured it."""
    data = {name: value for name, value in event.data.items() if name not in _LEFT_OUT}
    if isinstance(data.get("report"), str):
        data["report"] = _read(data["report"])
    return ToldEvent(
        id=str(event.id),
        kind=event.kind,
        subject=event.subject,
        tenant=tenant,
        number=event.number,
        at_ms=event.at_ms,
        data=data,
    )


def _read(report: str) -> Any:
    """The report of a machine; None for what cannot be read."""
    try:
        return msgspec.json.decode(report)
    except (msgspec.MsgspecError, RecursionError):
        return None
