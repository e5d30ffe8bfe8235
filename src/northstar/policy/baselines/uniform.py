"""Uniform pull: an idle machine takes the head of one queue, whatever models it holds.

It is how the predecessor (EMP-Job-Queue) works: all workers pull from one ordered set of pending jobs, and the first job in order that
matches a worker's services and hardware is its own; no model, disk or download is looked at, and whichever idle worker asks first has it.
In North Star's terms every fitting lane is a candidate of every machine at once, and no machine is preferred to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.policy.baselines.lots import lot
from northstar.policy.routing.candidates import MAX_CANDIDATES, Choice, lane_order

if TYPE_CHECKING:
    from northstar.policy.routing.snapshot import CellSnapshot


def uniform_candidates(snapshot: CellSnapshot) -> dict[str, list[Choice]]:
    """For every machine the first 64 fitting lanes in the order of their heads, all of them at once.

    The claim takes the first head among them, so that together they are one queue. Machines that take no work have none.
    """
    lanes = sorted(snapshot.lanes.values(), key=lane_order)
    by_profile: dict[str, list[Choice]] = {}
    for profile in {machine.profile for machine in snapshot.machines.values()}:
        fitting = [Choice(0, 0, lane.id) for lane in lanes if snapshot.fits.get((profile, lane.requirement_class))]
        by_profile[profile] = fitting[:MAX_CANDIDATES]
    return {
        name: by_profile[machine.profile] if machine.takes_work else [] for name, machine in snapshot.machines.items()
    }


def uniform_ranking(requirement_class: str, snapshot: CellSnapshot, *, seed: str | int) -> list[Choice]:
    """For a job of this class 64 fitting machines in an order drawn by lot, those with a free slot first.

    All of them may have it at once. `seed` is another one for every job, or the same machine would be asked first for ever.
    """
    fitting = [
        machine
        for machine in snapshot.machines.values()
        if machine.takes_work and snapshot.fits.get((machine.profile, requirement_class))
    ]
    drawn = sorted(fitting, key=lambda one: (one.used >= one.slots, lot(seed, one.id), one.id))
    return [Choice(0, place, one.id) for place, one in enumerate(drawn[:MAX_CANDIDATES])]
