"""Explanations of jobs, machines and models: the facts of a cell and its history, and policy's reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

import msgspec

from northstar.broker.explained_jobs import JobExplainer
from northstar.broker.job_views import body_of
from northstar.broker.missing_machines import MissingMachinesReader
from northstar.domain.errors import Refused
from northstar.domain.explanations import (
    JobExplanation,
    MachineCode,
    MachineExplanation,
    ModelExplanation,
    ModelFetch,
)
from northstar.domain.jobs import JobId
from northstar.domain.machines import MachineId
from northstar.domain.models import ModelName
from northstar.domain.reasons import MOST_SHOWN
from northstar.domain.refusals import JobUnreadable, NoSuchMachine
from northstar.policy.routing.candidates import lane_order
from northstar.policy.routing.explain_idle import Demand, idleness_of
from northstar.policy.routing.explain_model import lanes_asking, placement_of
from northstar.policy.routing.explain_remedies import for_absent, start_again
from northstar.policy.routing.pool_entry import PoolEntry
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.cell_limits import read_limits
from northstar.store.lane_waits import read_first_job, read_lane_waits
from northstar.store.machine_sheets import MachineSheet, read_machine_sheet
from northstar.store.machine_tokens import MachineToken, read_machine_token
from northstar.store.model_fetches import read_model_fetches
from northstar.store.words import undeclared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.broker.explained_jobs import KnownOf
    from northstar.broker.job_past import JobPast
    from northstar.broker.queue_places import QueuePlaces
    from northstar.domain.api_keys import Caller
    from northstar.domain.pools import Pools
    from northstar.policy.routing.coming import ComingMachine
    from northstar.policy.routing.explain_idle import LaneWait
    from northstar.policy.routing.snapshot import LaneState
    from northstar.store.cell import Cell

#: What a name may be the name of.
Kind: TypeAlias = Literal["job", "machine", "model"]

#: Lanes whose waiting jobs are counted for one machine or model; of the others it is said how many there are.
MOST_LANES: Final = 1_000
#: Models that a machine holds and that are shown.
_MOST_HELD: Final = 50
_ABSENT: Final[dict[str, MachineCode]] = {"waiting": "not_approved", "revoked": "revoked", "approved": "gone"}


class NothingKnown(Refused):
    """Nothing has the name."""

    code: ClassVar[str] = "NS_NOTHING_KNOWN"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"nothing is known of {name!r}: no job, no machine and no model is called so; northstar jobs list, "
            "northstar machines list and northstar models list show what there is"
        )
        self.name = name


class Explainer:
    """Explains what is in one cell. `known_of` says what the catalogue knows of a model; without it nothing is known."""

    def __init__(
        self,
        cell: Cell,
        *,
        past: JobPast,
        places: QueuePlaces,
        rule: PatienceRule | None = None,
        known_of: KnownOf | None = None,
        missing: MissingMachinesReader | None = None,
        pools: Pools | None = None,
    ) -> None:
        """`missing` says which machines are not here yet; without it those of this host are not known. `pools` as for `JobExplainer`."""
        self._cell = cell
        self._pools = pools
        self._past = past
        self._places = places
        self._rule = rule or PatienceRule()
        self._known_of = known_of
        self._missing = missing or MissingMachinesReader(cell)
        self._jobs = JobExplainer(
            cell, past=past, places=places, rule=self._rule, known_of=known_of, missing=self._missing, pools=pools
        )

    async def kinds_of(self, name: str) -> list[Kind]:
        """What is called so here. A model is one that a machine holds, a job asks for, or the catalogue knows. Raises Unavailable."""
        kinds: list[Kind] = []
        if _is(name, JobId) and (await self._is_job(name)):
            kinds.append("job")
        if _is(name, MachineId) and await self._is_machine(name):
            kinds.append("machine")
        if await self.is_model(name):
            kinds.append("model")
        return kinds

    async def job(self, job_id: str) -> JobExplanation:
        """Why a job is where it is. Raises NoSuchJob, or Unavailable."""
        return await self._jobs.explain(job_id)

    async def job_for(self, caller: Caller, job_id: str) -> JobExplanation:
        """The same for a key; a job that is none of its business is not looked at further. Raises NoSuchJob, or Unavailable."""
        return await self._jobs.explain(job_id, reaches=caller.reaches)

    async def machine(self, name: str) -> MachineExplanation:
        """What a machine does, or why it does nothing, or is not here.

        Raises:
            NoSuchMachine: it is not registered, none of that name has joined, and none is expected on this host. Unavailable: the cell does not answer.
        """
        now_ms = (await self._cell.inspect([])).now_ms
        try:
            sheet = await read_machine_sheet(self._cell.client, self._cell.keys, name)
        except NoSuchMachine:
            entry = await self._token_of(name)
            if entry is not None:
                return _not_here(entry, now_ms=now_ms)
            if name in self._missing.of_this_host:
                return _of_this_host(self._missing.of_this_host[name], now_ms=now_ms)
            raise
        return await self._here(sheet, now_ms=now_ms)

    async def _here(self, sheet: MachineSheet, *, now_ms: int) -> MachineExplanation:
        snapshot, pauses = await self._places.view()
        state = snapshot.machines.get(sheet.id)
        if state is None:  # it came after the view was made
            raise NoSuchMachine({"machine": sheet.id})
        limits = await read_limits(self._cell.client, self._cell.keys)
        lanes = sorted((lane for lane in snapshot.lanes.values() if lane.waits), key=lane_order)
        waits = await self._waits(lanes)
        demand = Demand(
            now_ms=now_ms, overdue_ms=limits.overdue_ms, lanes=waits, pauses=pauses, paces=self._places.paces
        )
        idle = idleness_of(
            state,
            demand,
            snapshot,
            self._rule,
            of_this_host=self._missing.of_this_host,
            entry=PoolEntry.of(self._pools, snapshot),
        )
        return MachineExplanation(
            id=sheet.id,
            code=idle.code,
            now_ms=now_ms,
            slots=sheet.slots,
            used=sheet.used,
            vram_mb=sheet.vram_mb,
            vram_used_mb=sheet.vram_used_mb,
            says=sheet.description.trouble,
            keeps_models=sheet.description.keeps_models,
            pools=idle.pools,
            may_take=idle.may_take,
            more_lanes=idle.more_lanes,
            blocked=idle.blocked,
            uncounted_lanes=len(lanes[MOST_LANES:]),
            held=sheet.held[:_MOST_HELD],
            more_held=len(sheet.held[_MOST_HELD:]),
            fetches=await self._fetches_of(sheet),
            actions=idle.actions,
        )

    async def _waits(self, lanes: Sequence[LaneState]) -> dict[str, LaneWait]:
        names = [lane.id for lane in lanes[:MOST_LANES]]
        return await read_lane_waits(self._cell.client, self._cell.keys, names)

    async def _fetches_of(self, sheet: MachineSheet) -> tuple[ModelFetch, ...]:
        """What the machine fetches, and what it was ordered to fetch and has not begun."""
        running = [
            ModelFetch(
                model=one.model,
                machine=sheet.id,
                since_ms=one.started_ms,
                expected_ms=one.expected_ms,
                size_bytes=one.size_bytes,
            )
            for one in sheet.fetching
        ]
        begun = {fetch.model for fetch in running}
        ordered = [
            ModelFetch(model=order.model, machine=sheet.id, since_ms=order.given_ms, order=order.id)
            for order in await self._cell.pending_orders(sheet.id)
            if order.what == "fetch" and order.model not in begun
        ]
        return (*running, *ordered)

    async def model(self, name: str) -> ModelExplanation:
        """Where a model is, and why not elsewhere; one of which nothing is known is nowhere. Raises Unavailable."""
        known = None if self._known_of is None else await self._known_of(name)
        name = name if known is None else known.name
        now_ms = (await self._cell.inspect([])).now_ms
        snapshot, _ = await self._places.view()
        fetches = await read_model_fetches(self._cell.client, self._cell.keys, [name])
        asking = lanes_asking(name, snapshot)
        placement = placement_of(
            name,
            snapshot,
            waiting=await self._waits(asking),
            fetching=frozenset(fetch.machine for fetch in fetches),
            known=known,
            has_source=await self._has_source(name, asking),
        )
        return ModelExplanation(
            name=name,
            now_ms=now_ms,
            known=known,
            fetches=tuple(fetches[:MOST_SHOWN]),
            more_fetches=len(fetches[MOST_SHOWN:]),
            **msgspec.structs.asdict(placement),
        )

    async def _has_source(self, name: str, asking: Sequence[LaneState]) -> bool:
        """Whether the next job that asks for the model says from where it can be had."""
        waiting = [lane for lane in asking if lane.waits]
        job_id = await read_first_job(self._cell.client, self._cell.keys, waiting[0].id) if waiting else None
        if job_id is None:
            return False
        jobs = (await self._cell.inspect([job_id], bodies=True)).jobs
        try:
            body = body_of(jobs[0]) if jobs and jobs[0].body else None
        except JobUnreadable:  # a later version's; what it needs is not known here
            return False
        return body is not None and any(need.name == name and need.sources for need in body.requires.models)

    async def is_model(self, name: str) -> bool:
        """Whether the text is the name of a model that a machine holds, a job asks for, or the catalogue knows. Raises Unavailable."""
        return _is(name, ModelName) and await self._is_model(name)

    async def _is_job(self, job_id: str) -> bool:
        return bool((await self._cell.inspect([job_id])).jobs)

    async def _is_machine(self, name: str) -> bool:
        """Whether it is here, is expected on this host, or has joined."""
        snapshot, _ = await self._places.view()
        here = name in snapshot.machines or name in self._missing.of_this_host
        return here or await self._token_of(name) is not None

    async def _is_model(self, model: str) -> bool:
        if not await undeclared(self._cell.client, self._cell.keys, [f"model:{model}"]):
            return True
        if self._known_of is not None and await self._known_of(model) is not None:
            return True
        snapshot, _ = await self._places.view()
        return bool(lanes_asking(model, snapshot)) or any(model in one.held for one in snapshot.machines.values())

    async def _token_of(self, machine: str) -> MachineToken | None:
        return await read_machine_token(self._cell.client, self._cell.keys, machine)


def _of_this_host(machine: ComingMachine, *, now_ms: int) -> MachineExplanation:
    """One that was started here and is not registered: it is getting ready, or will not be started again."""
    if not machine.given_up:
        return MachineExplanation(id=machine.name, code="not_ready", now_ms=now_ms)
    actions = (start_again(machine.name),)
    return MachineExplanation(id=machine.name, code="given_up", now_ms=now_ms, says=machine.given_up, actions=actions)


def _not_here(entry: MachineToken, *, now_ms: int) -> MachineExplanation:
    code = _ABSENT[entry.status]
    return MachineExplanation(
        id=entry.machine,
        code=code,
        now_ms=now_ms,
        says=f"by {entry.by}" if entry.status == "revoked" else "",
        seen_ms=entry.seen_ms,
        token=entry.status,
        actions=for_absent(entry.machine, code, pools=entry.pools),
    )


def _is(name: str, kind: object) -> bool:
    """Whether a text may be a name of this kind at all."""
    try:
        msgspec.convert(name, kind)
    except msgspec.ValidationError:
        return False
    return True
