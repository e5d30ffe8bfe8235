"""Why no machine of a cell takes work, and what waits that none of those which do could run: judged on one view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from northstar.policy.routing.fit import decide_fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.coming import ComingMachine
    from northstar.policy.routing.snapshot import CellSnapshot, MachineState

Lane = TypeVar("Lane")

#: The shortest way to a machine that takes work. undrain: one drains that would take some · mend: one is here, and its engines are out
#: (see `because`), or it drains as well · start_again: one of this host was given up · invite: none is here.
Remedy = Literal["undrain", "mend", "start_again", "invite"]


class NobodyWorks(msgspec.Struct, frozen=True, kw_only=True):
    """What would help first, and with which machine."""

    remedy: Remedy
    #: The first by name of those for which it would help, and how many these are; empty: none is here.
    machine: str = ""
    count: int = 0
    #: Why that one takes no work, as part of a sentence.
    because: str = ""


def why_nobody_works(view: CellSnapshot, given_up: Sequence[ComingMachine] = ()) -> NobodyWorks | None:
    """Why no machine takes work; None: some do. `given_up` are machines of this host that are not started again."""
    machines = sorted(view.machines.values(), key=lambda machine: machine.id)
    if any(machine.takes_work for machine in machines):
        return None
    if draining := [machine for machine in machines if _would_work(machine)]:
        return NobodyWorks(remedy="undrain", machine=draining[0].id, count=len(draining), because="it drains")
    if out := sorted(machines, key=lambda machine: (not machine.active, machine.id)):
        return NobodyWorks(remedy="mend", machine=out[0].id, count=len(out), because=_why_out(out[0]))
    if given_up:
        first = given_up[0]
        return NobodyWorks(
            remedy="start_again", machine=first.name, count=len(given_up), because=f"it was given up: {first.given_up}"
        )
    return NobodyWorks(remedy="invite")


def unserved(lanes: Iterable[tuple[Lane, RequirementClass]], view: CellSnapshot) -> list[Lane]:
    """Lanes that no machine which takes work could serve; one that this version cannot read is given the benefit of the doubt."""
    profiles = {machine.profile for machine in view.machines.values() if machine.takes_work}
    known: dict[RequirementClass, bool] = {}
    found: list[Lane] = []
    for lane, wanted in lanes:
        if wanted not in known:
            known[wanted] = any(_serves(profile, wanted, view) for profile in profiles)
        if not known[wanted]:
            found.append(lane)
    return found


def _serves(profile: str, wanted: RequirementClass, view: CellSnapshot) -> bool:
    return profile not in view.profiles or decide_fit(view.profiles[profile], wanted, view.node_sets).fits


def _would_work(machine: MachineState) -> bool:
    """Whether it drains, and would take work if it did not."""
    return not machine.active and msgspec.structs.replace(machine, active=True).takes_work


def _why_out(machine: MachineState) -> str:
    if machine.active:
        return machine.out_because
    return f"it drains, and {msgspec.structs.replace(machine, active=True).out_because}"
