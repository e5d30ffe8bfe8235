"""The lanes in a view of a cell, as lists show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.broker.pages import page_of
from northstar.domain.lane_rows import AnchorModel, LanePage, LaneRow
from northstar.policy.routing.eta import fit_slots, why_nobody
from northstar.policy.routing.explain_idle import LaneWait
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.lane_waits import read_lane_waits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from northstar.policy.routing.snapshot import CellSnapshot, LaneState
    from northstar.store.cell import Cell

_RULE = PatienceRule()
_NOBODY_WAITS = LaneWait(0, 0)


async def lane_page(
    cell: Cell, view: CellSnapshot, pauses: Mapping[str, str], *, now_ms: int, limit: int, cursor: str
) -> LanePage:
    """A page of the lanes in this view; `pauses` says why, by scope. Raises Unavailable."""
    known = (lane for lane in view.lanes.values() if lane.requirement_class in view.classes)
    lanes, after = page_of(known, name=lambda lane: lane.id, limit=limit, cursor=cursor)
    waits = await read_lane_waits(cell.client, cell.keys, [lane.id for lane in lanes])
    rows = (_row(lane, waits.get(lane.id, _NOBODY_WAITS), view, pauses, now_ms=now_ms) for lane in lanes)
    return LanePage(lanes=tuple(rows), cursor=after)


def _row(lane: LaneState, wait: LaneWait, view: CellSnapshot, pauses: Mapping[str, str], *, now_ms: int) -> LaneRow:
    wanted = view.classes[lane.requirement_class]
    waited_ms = max(0, now_ms - wait.oldest_ms) if wait.oldest_ms else 0
    machines = fit_slots(lane, wanted, view, _RULE, waited_ms=waited_ms).machines
    scope = next((scope for scope in ("cell", f"pool:{wanted.pool}") if scope in pauses), "")
    why = ""
    if wait.waiting and scope:
        why = f"{scope.replace(':', ' ')} is paused ({pauses[scope]})"
    elif wait.waiting and not machines:
        why = why_nobody(wanted, view)
    return LaneRow(
        id=lane.id,
        requirement=wanted,
        models=tuple(AnchorModel(name=name, size_bytes=size_bytes) for name, size_bytes in lane.anchors),
        waiting=wait.waiting,
        unfinished=lane.unfinished,
        running=lane.running,
        oldest_ms=wait.oldest_ms,
        oldest_wait_s=waited_ms / 1000,
        machines=machines,
        why_nobody=why,
    )
