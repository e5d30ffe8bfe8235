"""A cell at a glance: counts, lanes, machines and brokers, and what is wrong with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.absent_machines import waiting_machines
from northstar.broker.budget_notes import STOP, WARNING, BudgetNotes
from northstar.broker.job_views import look_at
from northstar.broker.machine_rows import rows_of
from northstar.broker.troubles import Seen, troubles
from northstar.domain.budgets import BudgetNote, Level
from northstar.domain.lane_rows import LaneTally
from northstar.domain.machine_rows import MachineRow
from northstar.domain.troubles import Trouble
from northstar.store.brokers import Broker, read_brokers
from northstar.store.history.state import HistoryState, read_history_state
from northstar.store.pauses import Pause, read_pauses
from northstar.store.snapshots import CellReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from northstar.broker.missing_machines import MissingMachinesReader
    from northstar.broker.webhooks.failing import FailingWebhook
    from northstar.store.cell import Cell
    from northstar.store.messages import LaneCount

#: Lanes that are looked at for jobs that nobody can do, however many are shown; and as many as one look counts.
MOST_LANES: Final = 500
#: Waiting jobs that are looked at for the first one of a lane that nobody serves.
_LOOKED_AT: Final = 200


class JobsNow(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs there are in each state."""

    waiting: int
    running: int
    delayed: int
    #: Failed ones among them, for as long as they are kept.
    finished: int
    failed: int


class JobsEver(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs there ever were."""

    submitted: int
    succeeded: int
    failed: int
    canceled: int
    expired: int


class NotedBudget(BudgetNote, frozen=True, kw_only=True):
    """A budget that is nearly or wholly spent. `whose` is a tenant, or `*` for the fleet."""

    whose: str
    level: Level


class CellStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `northstar status` says. `now_ms` is the cell's time."""

    cell: str
    now_ms: int
    #: What somebody should know or mend, the worst first.
    troubles: tuple[Trouble, ...]
    jobs: JobsNow
    totals: JobsEver
    #: Events that are not in the history yet.
    history_behind: int
    history: HistoryState
    lanes: tuple[LaneTally, ...]
    machines: tuple[MachineRow, ...]
    #: Names of machines that wait for an operator's approval.
    machines_waiting: tuple[str, ...]
    pauses: tuple[Pause, ...]
    #: Budgets that are spent or nearly so, as they were when that was noticed; those of the fleet first.
    budgets: tuple[NotedBudget, ...]
    brokers: tuple[Broker, ...]


async def read_status(
    cell: Cell,
    missing: MissingMachinesReader,
    *,
    lanes: int,
    reader: CellReader | None = None,
    webhooks: Sequence[FailingWebhook] = (),
) -> CellStatus:
    """The cell now, with at most `lanes` (of 0 to 500) of its lanes; read by a `reader` that may know most of it. Raises Unavailable.

    `webhooks` are those that are known to fail.
    """
    reader = reader or CellReader(cell.client, cell.keys)
    reply = await cell.statistics(lanes=max(lanes, MOST_LANES))
    counts = reply.counts
    now_ms = counts["now_ms"]
    history = await read_history_state(cell, now_ms=now_ms)
    view = await reader.snapshot()
    pauses = await read_pauses(cell.client, cell.keys)
    brokers = await read_brokers(cell)
    stops, warnings = BudgetNotes(cell, STOP), BudgetNotes(cell, WARNING)
    await stops.look()
    await warnings.look()
    waiting = await waiting_machines(cell)
    of_this_host = missing.of_this_host.values()
    seen = Seen(
        now_ms=now_ms,
        waiting=counts["waiting_size"],
        failed=counts["dead_size"],
        view=view,
        lanes=reply.lanes,
        brokers=brokers,
        history=history,
        pauses=pauses,
        stops=stops.all,
        warnings=warnings.all,
        waiting_machines=waiting,
        webhooks=webhooks,
        first_waiting=await _first_waiting(cell) if counts["waiting_size"] else {},
        given_up=[one for one in of_this_host if one.given_up and one.name not in view.machines],
    )
    # In a thread: a fleet of thousands takes longer than others should wait on the loop.
    told, rows = await asyncio.to_thread(lambda: (tuple(troubles(seen)), tuple(rows_of(view))))
    return CellStatus(
        cell=cell.name,
        now_ms=now_ms,
        troubles=told,
        jobs=_jobs_now(counts),
        totals=JobsEver(**{name: counts[name] for name in JobsEver.__struct_fields__}),
        history_behind=counts["event"] - counts["committed_event"],
        history=history,
        lanes=tuple(_tally(one) for one in reply.lanes[:lanes]),
        machines=rows,
        machines_waiting=tuple(waiting),
        pauses=tuple(pauses),
        budgets=(*_noted(stops, "stopped"), *_noted(warnings, "warned")),
        brokers=tuple(brokers),
    )


def _jobs_now(counts: Mapping[str, int]) -> JobsNow:
    return JobsNow(
        waiting=counts["waiting_size"],
        running=counts["leases_size"],
        delayed=counts["delayed_size"],
        finished=counts["finished_size"],
        failed=counts["dead_size"],
    )


def _tally(lane: LaneCount) -> LaneTally:
    return LaneTally(id=lane.id, key=lane.key, pool=lane.pool, waiting=lane.waiting, live=lane.live)


def _noted(notes: BudgetNotes, level: Level) -> Iterator[NotedBudget]:
    for whose, note in sorted(notes.all.items()):
        yield NotedBudget(whose=whose, level=level, **msgspec.structs.asdict(note))


async def _first_waiting(cell: Cell) -> dict[str, str]:
    """The first job of each lane in which some wait, by the lane's text, as far as the first ones of the cell tell."""
    ids = (await cell.list_jobs("waiting", count=_LOOKED_AT)).jobs
    found: dict[str, str] = {}
    for view in await look_at(cell, ids):
        found.setdefault(view.lane_key, view.id)
    return found
