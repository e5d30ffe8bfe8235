"""Machines that are on their way: no machine *yet* is another thing than no machine at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.machines import MachineId, MachineProfile
from northstar.domain.reasons import MOST_NAMED, Need
from northstar.policy.routing.explain_fit import lacking

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.snapshot import CellSnapshot

_MOST_CHARS: Final = 400
#: Machines that were given up and are told one by one.
_MOST_TOLD: Final = 3


class ComingMachine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that was started or has joined, and is not ready: its engines have not answered yet."""

    name: MachineId
    #: What it will offer, as far as that is known.
    profile: MachineProfile
    #: What only its engines and its hardware tell, when it is ready.
    untold: tuple[Need, ...] = ()
    #: Why it is not coming any more: it died again and again, and is not started again. Empty: it comes.
    given_up: str = ""


def why_given_up(machines: Iterable[ComingMachine]) -> str:
    """Of machines that were started on this host and given up, as a sentence; empty: there are none."""
    told = [f"{one.name} was started on this host and given up: {one.given_up}" for one in machines if one.given_up]
    more = f"; and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return f"{'; '.join(told[:_MOST_TOLD])}{more}"[:_MOST_CHARS]


def on_their_way(
    wanted: RequirementClass,
    machines: Iterable[ComingMachine],
    snapshot: CellSnapshot,
    *,
    pools: Iterable[str] = (),
) -> str:
    """Who may serve the class soon, as a sentence; empty: none of these machines can, by what is known of them.

    `pools` are those to which such a job goes too if a machine there can have it.
    """
    anywhere = (wanted, *(msgspec.structs.replace(wanted, pool=pool) for pool in pools))
    may = [one for one in machines if any(_may_serve(one, asked, snapshot) for asked in anywhere)]
    if not may:
        return ""
    names = sorted(one.name for one in may)
    named = ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
    who = f"{named} is getting ready" if len(names) == 1 else f"{len(names)} machines are getting ready ({named})"
    return f"no machine that fits is ready yet; {who}{_untold(wanted, may)}"[:_MOST_CHARS]


def _may_serve(machine: ComingMachine, wanted: RequirementClass, snapshot: CellSnapshot) -> bool:
    return all(lack.need in machine.untold for lack in lacking(machine.profile, wanted, snapshot))


def _untold(wanted: RequirementClass, machines: Iterable[ComingMachine]) -> str:
    """What nobody knows yet of some of them, and the job needs."""
    untold = {need for machine in machines for need in machine.untold}
    asked = [
        text
        for need, is_asked, text in (
            ("service", True, f"offers service {wanted.service}"),
            ("vram", bool(wanted.vram_mb), f"has {wanted.vram_mb} MB of VRAM"),
            ("node_packs", bool(wanted.node_packs), "has the node packs"),
            ("node_classes", bool(wanted.node_classes), "knows the node classes"),
        )
        if is_asked and need in untold
    ]
    return f"; whether it {' and '.join(asked)} is known then" if asked else ""
