"""What is said at submit of a job that nobody can serve as things are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.policy.routing.explain_fit import in_nearest_pool
from northstar.policy.routing.explain_machines import Wait, reasons_of
from northstar.policy.routing.explain_remedies import Standstill, standstill_of
from northstar.policy.routing.pool_entry import ANY_ENTRY
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import LaneState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.eta import Here
    from northstar.policy.routing.pool_entry import PoolEntry
    from northstar.policy.routing.snapshot import CellSnapshot, MachineState

#: As long as a sentence of a stored decision may be.
_MOST_CHARS: Final = 400


def standstill_at_submit(
    wanted: RequirementClass,
    machines: Sequence[MachineState],
    snapshot: CellSnapshot,
    *,
    pools: Iterable[str] = (),
    here: Here | None = None,
    of_this_host: Collection[str] = (),
    entry: PoolEntry = ANY_ENTRY,
) -> Standstill:
    """Why nobody could run a job that is just submitted, and what to do; both empty if somebody could, now or later.

    `pools` are those to which it goes too if a machine there can have it. `machines` are those of the snapshot, or some that speak for the
    others, and then `here` tells of all. A pause is no such reason: it ends. Nor
    are models: where they can be had is the catalogue's affair.
    """
    seen = msgspec.structs.replace(snapshot, machines={machine.id: machine for machine in machines})
    asked = Wait(
        lane=LaneState(id="", key="", requirement_class="", anchors=(), unfinished=0),
        wanted=in_nearest_pool(wanted, pools, seen),
        now_ms=0,
        submitted_ms=0,
        oldest_ms=0,
        overdue_ms=0,
    )
    reasons = reasons_of(asked, seen, PatienceRule())
    found = standstill_of(asked, reasons, seen, home=wanted, here=here, of_this_host=of_this_host, entry=entry)
    if not found.because:
        return Standstill()
    return msgspec.structs.replace(found, because=found.because[:_MOST_CHARS])
