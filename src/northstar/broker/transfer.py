"""Moving waiting jobs to another cell, and finishing moves that a crash left between two steps.

A move is: out of the source's lane under a transfer id, into the target's lane (idempotent by that id), the source forgets all
but a pointer, the target forgets the arrival. Repeating the steps from the first is always safe, so the sweeper does just that
with whatever is still on its way. A target that refuses (an id that exists there, a word it does not know, no room) refuses that
transfer for good, and the source takes the job back into its lane; nothing is lost and nothing runs twice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from northstar.broker.stored_lanes import StoredLanes
from northstar.domain.errors import NorthstarError
from northstar.domain.refusals import QueueRefusal, refusal
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.messages import JobRecord, Leaving, Outcome
from northstar.store.snapshots import read_snapshot
from northstar.store.valkey import FAULTS, translate
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from northstar.broker.routing import Router
    from northstar.store.cell import Cell

log = logger(__name__)

#: Jobs per call; as the function library bounds its batches.
PER_CALL = 500
#: Where a packed record says whose job it is.
_TENANT = JobRecord.__struct_fields__.index("tenant")


class Moves(msgspec.Struct, frozen=True):
    """What became of jobs that were to move: those that did, and those that did not with the refusal."""

    moved: tuple[str, ...] = ()
    refused: tuple[tuple[str, QueueRefusal], ...] = ()


class OnTheWay(msgspec.Struct, frozen=True, array_like=True):
    """An open transfer, as the source cell keeps it."""

    transfer: str
    target: str
    since_ms: int


class _LeavingReply(msgspec.Struct, frozen=True):
    jobs: list[Leaving]


class _OutcomeReply(msgspec.Struct, frozen=True):
    jobs: list[Outcome]


async def move(
    source: Cell,
    target: Cell,
    job_ids: Sequence[str],
    *,
    new_id: Callable[[], str],
    rule: PatienceRule | None = None,
    router: Router | None = None,
) -> Moves:
    """Move waiting jobs from one cell to another; running and finished ones are refused.

    `router` is one of the target, by which jobs wait there, as for `StoredLanes`.

    Raises:
        Unavailable, TermsUnreadable: a server does not answer, or nobody can say what was agreed with tenants in the target. What had begun
            goes on with `sweep`, or with the same call again.
    """
    moved: list[str] = []
    refused: list[tuple[str, QueueRefusal]] = []
    for first in range(0, len(job_ids), PER_CALL):
        wanted = [{"id": job_id, "transfer": new_id()} for job_id in job_ids[first : first + PER_CALL]]
        out = await source.call("transfer_out", {"jobs": wanted, "target": target.name}, _LeavingReply)
        refused += [(job.id, refusal(job.word)) for job in out.jobs if job.word != "ok"]
        leaving = [job for job in out.jobs if job.word == "ok"]
        part = await _arrive(source, target, leaving, new_id, rule=rule or PatienceRule(), router=router)
        moved += part.moved
        refused += part.refused
    return Moves(tuple(moved), tuple(refused))


async def _arrive(
    source: Cell,
    target: Cell,
    leaving: Sequence[Leaving],
    new_id: Callable[[], str],
    *,
    rule: PatienceRule,
    router: Router | None,
) -> Moves:
    if not leaving:
        return Moves()
    lanes = StoredLanes(await read_snapshot(target.client, target.keys), rule, router)
    jobs = [
        {
            "id": job.id,
            "transfer": job.transfer,
            "record": job.record,
            "body": job.body,
            "decision": job.decision,
            "lane": lanes.of(job.body, job.decision, tenant=job.record[_TENANT]),
        }
        for job in leaving
    ]
    arrived = await target.call("transfer_in", {"nonce": new_id()[-16:], "jobs": jobs}, _OutcomeReply)
    there = {outcome.id for outcome in arrived.jobs if outcome.word in {"ok", "replayed"}}
    done = [{"id": job.id, "transfer": job.transfer} for job in leaving if job.id in there]
    ended: list[Outcome] = []
    if done:
        ended += (await source.call("transfer_done", {"jobs": done}, _OutcomeReply)).jobs
    words = {outcome.id: outcome.word for outcome in arrived.jobs}
    stay = [
        {"id": job.id, "transfer": job.transfer, "because": words[job.id]} for job in leaving if job.id not in there
    ]
    if stay:
        ended += (await source.call("transfer_abort", {"nonce": new_id()[-16:], "jobs": stay}, _OutcomeReply)).jobs
    # The target remembers until the source is known to be done with it; what a crash leaves remembered lapses in a year.
    over = {outcome.id for outcome in ended if outcome.word in {"ok", "replayed"}}
    settled = [{"id": job.id, "transfer": job.transfer} for job in leaving if job.id in over]
    if settled:
        await target.call("transfer_settled", {"jobs": settled}, dict[str, int])
    return Moves(
        moved=tuple(job.id for job in leaving if job.id in there),
        refused=tuple(
            (outcome.id, refusal(outcome.word, {"job": outcome.id}))
            for outcome in arrived.jobs
            if outcome.id not in there
        ),
    )


async def on_the_way(source: Cell, *, limit: int = 10_000) -> dict[str, OnTheWay]:
    """Open transfers out of a cell by job id, about `limit` at most. Raises Unavailable."""
    decode = msgspec.msgpack.Decoder(OnTheWay).decode
    found: dict[str, OnTheWay] = {}
    cursor: Any = 0
    while len(found) < limit:
        try:
            cursor, fields = await source.client.execute_command(
                "HSCAN", source.keys["transfers"], cursor, "COUNT", PER_CALL
            )
        except FAULTS as exc:
            raise translate(exc) from exc
        pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
        found |= {job_id.decode(): decode(value) for job_id, value in pairs}
        if int(cursor) == 0:
            break
    return found


async def sweep(
    source: Cell,
    cells: Mapping[str, Cell],
    *,
    older_than_ms: int,
    now_ms: int,
    new_id: Callable[[], str],
    routers: Mapping[str, Router] | None = None,
) -> Moves:
    """Finish transfers out of `source` that have been open for longer than `older_than_ms`; `now_ms` is the cell's time.

    `routers` are those of the cells by name, as for `move`.

    Targets that are not in `cells` are left for whoever reaches them. Several sweepers may run at once.
    """
    open_moves = await on_the_way(source)
    moved: list[str] = []
    refused: list[tuple[str, QueueRefusal]] = []
    for name in sorted({one.target for one in open_moves.values()} & set(cells)):
        stuck = [
            job_id for job_id, one in open_moves.items() if one.target == name and now_ms - one.since_ms > older_than_ms
        ]
        part = await move(source, cells[name], stuck, new_id=new_id, router=(routers or {}).get(name))
        moved += part.moved
        refused += part.refused
    return Moves(tuple(moved), tuple(refused))


async def sweep_for_ever(
    source: Cell,
    cells: Mapping[str, Cell],
    *,
    new_id: Callable[[], str],
    every_s: float = 10.0,
    routers: Mapping[str, Router] | None = None,
) -> None:
    """Sweep until cancelled: what has been on its way for `every_s` was left by a crash, or is refused by its target."""
    while True:
        await asyncio.sleep(every_s)
        try:
            now_ms = (await source.statistics()).counts["now_ms"]
            moves = await sweep(
                source, cells, older_than_ms=int(every_s * 1000), now_ms=now_ms, new_id=new_id, routers=routers
            )
        except NorthstarError as exc:
            log.warning("sweep_failed", cell=source.name, code=exc.code, error=str(exc))
            continue
        for job_id, refused in moves.refused:
            log.warning("transfer_refused", cell=source.name, job=job_id, code=refused.code, error=str(refused))
