"""Of a lane's ranking only what the cell does not have yet: most lanes that are ranked again are ranked as they were.

Each placement has the cell write all candidates of its machine anew, which is most of what a submission costs there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker.planning import is_same_wait
from northstar.domain.errors import Unavailable
from northstar.store.standing_candidates import read_standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from northstar.policy.routing.snapshot import CellSnapshot, MachineState
    from northstar.store.cell import Cell
    from northstar.store.messages import Candidate, Placement, WantedLane


async def not_said_yet(cell: Cell, lanes: Sequence[WantedLane], snapshot: CellSnapshot) -> list[WantedLane]:
    """The same lanes without the placements that stand in the cell already; `snapshot` is the view by which they were ranked.

    A lane that the view does not know is new, and keeps all. Where the cell cannot be asked, all are said again.
    """
    placed = {lane.key for lane in lanes if lane.placements}
    ids = {lane.key: lane.id for lane in snapshot.lanes.values() if lane.key in placed} if placed else {}
    if not ids:
        return list(lanes)
    machines = {ids[lane.key]: [one.machine for one in lane.placements] for lane in lanes if lane.key in ids}
    try:
        standing = await read_standing(cell.client, cell.keys, machines)
    except Unavailable:
        return list(lanes)
    return [_without(lane, standing.get(ids.get(lane.key, ""), {}), snapshot.machines) for lane in lanes]


def _without(lane: WantedLane, standing: Mapping[str, Candidate], machines: Mapping[str, MachineState]) -> WantedLane:
    if not standing:
        return lane
    news = tuple(one for one in lane.placements if not _says(standing.get(one.machine), one, machines.get(one.machine)))
    return msgspec.structs.replace(lane, placements=news)


def _says(known: Candidate | None, wanted: Placement, machine: MachineState | None) -> bool:
    """Whether what stands says the same. Of machines that are at work the preference moves all the time, and is compared only once they wait."""
    if known is None or machine is None or not is_same_wait(known.ready_after_ms, wanted.ready_after_ms):
        return False
    return machine.used >= machine.slots or known.preference == wanted.preference
