"""How policies that are not North Star's speak to the cell: a lane's machines at its submit, and what each machine may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.snapshot import ASSUMED_RUN_S, LaneState
from northstar.store.messages import Candidate, Placement, WantedLane

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from northstar.domain.requirements import LaneKey
    from northstar.policy.routing.candidates import Choice
    from northstar.policy.routing.snapshot import CellSnapshot

#: What stands for a lane, and for its class, before the cell has given them ids.
COMING = "(coming)"


class Coming(NamedTuple):
    """A lane whose first job comes now: the cell with it, and which profiles serve it."""

    snapshot: CellSnapshot
    fits: tuple[tuple[str, bool], ...]


def coming(lane: LaneKey, snapshot: CellSnapshot, *, run_s: float | None) -> Coming:
    """The cell as if the lane (named COMING) were there, and one job of it waited."""
    wanted = read_class(lane.requirement_class)
    decided = ((name, decide_fit(offered, wanted, snapshot.node_sets)) for name, offered in snapshot.profiles.items())
    fits = tuple(sorted((name, decision.fits) for name, decision in decided if decision.is_final))
    state = LaneState(
        id=COMING,
        key=lane.key,
        requirement_class=COMING,
        anchors=read_anchors(lane.anchors),
        unfinished=1,
        waits=True,
        run_s=run_s or ASSUMED_RUN_S,
    )
    with_it = msgspec.structs.replace(
        snapshot,
        lanes=snapshot.lanes | {COMING: state},
        classes=snapshot.classes | {COMING: wanted},
        fits=snapshot.fits | {(name, COMING): fit for name, fit in fits},
    )
    return Coming(with_it, fits)


def placed(lane: LaneKey, fits: tuple[tuple[str, bool], ...], choices: Sequence[Choice]) -> WantedLane:
    """A lane as the function library takes it; `choices` are machines."""
    return WantedLane(
        key=lane.key,
        class_=lane.requirement_class,
        pool=lane.pool,
        vram_mb=lane.vram_mb,
        words=lane.words,
        anchors=lane.anchors,
        fits=fits,
        placements=tuple(Placement(one.subject, one.ready_after_ms, one.preference) for one in choices),
    )


def differing(
    wanted: Mapping[str, Sequence[Choice]], known: Mapping[str, Collection[Candidate]]
) -> list[tuple[str, list[Candidate]]]:
    """Machines whose candidates in the cell are not these, with these; those that may begin soonest come first."""
    told = (
        (machine, [Candidate(one.subject, one.ready_after_ms, one.preference) for one in choices])
        for machine, choices in wanted.items()
    )
    changed = [(machine, lanes) for machine, lanes in told if set(lanes) != set(known.get(machine, ()))]
    return sorted(changed, key=lambda one: (min((lane.ready_after_ms for lane in one[1]), default=0), one[0]))
