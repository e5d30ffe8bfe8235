"""Why a job is where it is: its record, its decision, the cell around it and its past."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from northstar.broker.decisions import read_decision
from northstar.broker.job_lives import Life, read_life
from northstar.broker.job_views import view_of
from northstar.broker.missing_machines import MissingMachines, MissingMachinesReader
from northstar.broker.stored_lanes import stored_pool
from northstar.domain.explanations import MOST_STEPS, JobExplanation
from northstar.domain.job_story import steps_of
from northstar.domain.jobs import JobStatus
from northstar.domain.refusals import NoSuchJob
from northstar.policy.routing.coming import on_their_way
from northstar.policy.routing.explain_fit import in_nearest_pool
from northstar.policy.routing.explain_machines import Wait, grouped, reasons_of
from northstar.policy.routing.explain_model import where_of
from northstar.policy.routing.explain_remedies import for_barred, for_held, standstill_of
from northstar.policy.routing.fit import EXCLUDED, HELD_BACK
from northstar.policy.routing.pool_entry import PoolEntry
from northstar.store.cell_limits import read_limits
from northstar.store.lane_waits import count_placed, read_lane_waits, read_ranked
from northstar.store.model_fetches import read_model_fetches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.broker.job_past import JobPast
    from northstar.broker.queue_places import QueuePlaces
    from northstar.domain.explanations import KnownModel
    from northstar.domain.jobs import JobBody, JobView
    from northstar.domain.models import ModelNeed
    from northstar.domain.pools import Pools
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.cell import Cell
    from northstar.store.messages import InspectedJob

#: What the catalogue says of the model that has this name or alias; None if nothing.
KnownOf: TypeAlias = "Callable[[str], Awaitable[KnownModel | None]]"

_WAITING: Final = frozenset({JobStatus.QUEUED, JobStatus.DELAYED})


#: Why the steps may not be all.
_BEHIND: Final = "what happened last is not told: more events wait for the history than are looked through"


def _everybody(_: str) -> bool:
    return True


class JobExplainer:
    """Explains the jobs of one cell. What it reads does not grow with the fleet in round trips."""

    def __init__(
        self,
        cell: Cell,
        *,
        past: JobPast,
        places: QueuePlaces,
        rule: PatienceRule,
        known_of: KnownOf | None = None,
        missing: MissingMachinesReader | None = None,
        pools: Pools | None = None,
    ) -> None:
        """`pools` are those that hold: a machine is advised to serve one only if it would be let in."""
        self._cell = cell
        self._pools = pools
        self._missing = missing or MissingMachinesReader(cell)
        self._past = past
        self._places = places
        self._rule = rule
        self._known_of = known_of

    async def explain(self, job_id: str, *, reaches: Callable[[str], bool] = _everybody) -> JobExplanation:
        """Everything that is known of why the job is where it is.

        Raises:
            NoSuchJob: neither the queue nor the history knows it, or it is of a tenant that is not reached, which is found out first.
            Unavailable: cell or history do not answer.
        """
        life = await read_life(self._cell, self._past, job_id)
        if (life.job is None and not life.events) or not reaches(life.tenant):
            raise NoSuchJob({"job": job_id})
        reply = await self._cell.inspect([job_id], bodies=True, decisions=True)
        if reply.jobs:
            if reply.jobs[0].record.tenant != life.tenant:  # the id was given anew this very moment
                raise NoSuchJob({"job": job_id})
            told = await self._queued(reply.jobs[0], now_ms=reply.now_ms)
        else:
            told = JobExplanation(id=job_id, status=None, now_ms=reply.now_ms, tenant=life.tenant)
        return self._with_past(told, life)

    def _with_past(self, told: JobExplanation, life: Life) -> JobExplanation:
        steps = steps_of(life.events, max_attempts=life.max_attempts)
        fault = self._past.fault
        why = str(fault) if fault is not None else "" if life.is_whole else _BEHIND
        return msgspec.structs.replace(
            told,
            steps=tuple(steps[-MOST_STEPS:]),
            earlier_steps=len(steps[:-MOST_STEPS]),
            steps_fault=why,
        )

    async def _queued(self, job: InspectedJob, *, now_ms: int) -> JobExplanation:
        """A job that the queue still knows, finished or not."""
        (view,) = await self._past.with_machines([view_of(job)])
        limits = await read_limits(self._cell.client, self._cell.keys)
        told = _recorded(job, view, now_ms=now_ms, overdue_ms=limits.overdue_ms)
        told = msgspec.structs.replace(told, decision=read_decision(job.decision))
        if view.status.is_final or view.body is None:
            return told
        needs = view.body.requires.models
        fetches = await read_model_fetches(self._cell.client, self._cell.keys, {need.name for need in needs})
        told = msgspec.structs.replace(told, fetches=tuple(fetches))
        if view.status not in _WAITING:
            return told
        place = await self._places.of(job, now_ms=now_ms)
        told = msgspec.structs.replace(told, place=place)
        return await self._waiting(job, told, view.body, overdue_ms=limits.overdue_ms)

    async def _waiting(
        self, job: InspectedJob, told: JobExplanation, body: JobBody, *, overdue_ms: int
    ) -> JobExplanation:
        """A job that waits: why each machine does not run it, and what would help."""
        snapshot, pauses = await self._places.view()
        wait = await self._wait_of(job, told, snapshot, overdue_ms=overdue_ms, pauses=pauses)
        if wait is None:
            return told
        reasons = reasons_of(wait, snapshot, self._rule)
        fitting = [machine for machine, reason in reasons if reason.code != "does_not_fit"]
        others = [machine for machine, reason in reasons if reason.code == "does_not_fit"]
        needs, fetching = body.requires.models, [fetch.model for fetch in told.fetches]
        service, known = wait.wanted.service, await self._known(needs)
        models = where_of(needs, fitting, fetching=fetching, service=service, known=known, others=others)
        told = msgspec.structs.replace(
            told, machines=grouped(reasons, snapshot, ranked=wait.ranked), models=tuple(models)
        )
        if wait.wanted.is_barred:
            because = (told.decision.unservable if told.decision is not None else "") or EXCLUDED
            told = _because(told, because)
            return msgspec.structs.replace(told, unservable=because, actions=for_barred(told.id, told.tenant))
        if wait.wanted.is_held:
            because = self._places.held_because(told.tenant) or HELD_BACK
            told = _because(told, because)
            return msgspec.structs.replace(told, unservable=because, actions=for_held(told.tenant))
        missing = MissingMachines() if any(one.takes_work for one in fitting) else await self._missing.look(snapshot)
        pools = () if fitting or told.decision is None else told.decision.only_lacks_machines
        if coming := on_their_way(wait.wanted, missing.coming, snapshot, pools=pools):
            return msgspec.structs.replace(_because(told, coming), coming=coming)
        home = wait.wanted
        if (nearest := in_nearest_pool(home, pools, snapshot)) != home:
            wait = msgspec.structs.replace(wait, wanted=nearest)
            reasons = reasons_of(wait, snapshot, self._rule)
        standstill = standstill_of(
            wait,
            reasons,
            snapshot,
            models=models,
            not_approved=missing.not_approved,
            home=home,
            of_this_host=self._missing.of_this_host,
            entry=PoolEntry.of(self._pools, snapshot),
            given_up=missing.given_up,
        )
        told = _because(told, standstill.because)
        return msgspec.structs.replace(told, unservable=standstill.because, actions=standstill.actions)

    async def _known(self, needs: Sequence[ModelNeed]) -> dict[str, KnownModel]:
        """What the catalogue says of the models, asked side by side."""
        if self._known_of is None:
            return {}
        found = await asyncio.gather(*(self._known_of(need.name) for need in needs))
        return {need.name: known for need, known in zip(needs, found, strict=True) if known is not None}

    async def _wait_of(
        self,
        job: InspectedJob,
        told: JobExplanation,
        snapshot: CellSnapshot,
        *,
        overdue_ms: int,
        pauses: dict[str, str],
    ) -> Wait | None:
        """What bears on the job; None if its lane is gone, because it was taken meanwhile."""
        lane = snapshot.lanes.get(job.record.lane)
        wanted = None if lane is None else snapshot.classes.get(lane.requirement_class)
        if lane is None or wanted is None:
            return None
        waits = await read_lane_waits(self._cell.client, self._cell.keys, [lane.id])
        submitted_ms = job.record.submitted_ms
        place = told.place
        return Wait(
            lane=lane,
            wanted=wanted,
            now_ms=told.now_ms,
            submitted_ms=submitted_ms,
            oldest_ms=waits[lane.id].oldest_ms if lane.id in waits else submitted_ms,
            overdue_ms=overdue_ms,
            placed=await count_placed(self._cell.client, self._cell.keys, lane.id),
            ranked=tuple(await read_ranked(self._cell.client, self._cell.keys, lane.id)),
            paces=self._places.paces,
            ahead=0 if place is None else place.position - 1 + place.ahead_elsewhere,
            pauses=pauses,
        )


def _because(told: JobExplanation, why: str) -> JobExplanation:
    """The same with this as the reason why nobody knows its time: one cause is told, and not two."""
    if told.place is None or not why or told.place.machines:
        return told
    return msgspec.structs.replace(told, place=msgspec.structs.replace(told.place, why=why))


def _recorded(job: InspectedJob, view: JobView, *, now_ms: int, overdue_ms: int) -> JobExplanation:
    """What the job's record says."""
    record = job.record
    return JobExplanation(
        id=job.id,
        status=view.status,
        now_ms=now_ms,
        tenant=view.tenant,
        service=view.body.service if view.body else "",
        pool=stored_pool(view.body, job.decision) if view.body else "",
        priority=view.priority,
        machine=view.machine,
        submitted_ms=view.submitted_ms,
        started_ms=view.started_ms,
        finished_ms=view.finished_ms,
        due_ms=view.due_ms,
        overdue_from_ms=0 if view.status.is_final else view.submitted_ms + overdue_ms,
        start_by_ms=record.start_by_ms,
        finish_by_ms=record.finish_by_ms,
        attempts=view.attempts,
        max_attempts=view.max_attempts,
        recoveries=view.recoveries,
        max_recoveries=record.max_recoveries,
        error_code=view.error_code,
        error_message=view.error_message,
    )
