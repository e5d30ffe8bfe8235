"""What would have to change before a job runs, as things to do, each with the command to type."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.explanations import Action, ModelWhere
from northstar.domain.requirements import UNIFORM
from northstar.policy.routing.eta import why_nobody

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.domain.explanations import MachineCode
    from northstar.domain.reasons import Lack, Reason
    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.explain_machines import Wait
    from northstar.policy.routing.snapshot import CellSnapshot, MachineState

#: A broker plans within a second of whatever changes; after so long, none does.
PLANNED_WITHIN_MS: Final = 5_000
#: As many as are worth reading.
MOST_ACTIONS: Final = 8
#: Machines named for the same action.
_MOST_MACHINES: Final = 3


class Standstill(msgspec.Struct, frozen=True, kw_only=True):
    """Why nobody runs a job as things are (empty: somebody can, sooner or later), and what would change that."""

    because: str = ""
    actions: tuple[Action, ...] = ()


def standstill_of(
    wait: Wait,
    reasons: Sequence[tuple[MachineState, Reason]],
    snapshot: CellSnapshot,
    *,
    models: Sequence[ModelWhere] = (),
    not_approved: Sequence[str] = (),
) -> Standstill:
    """What keeps the job from running at all, and what to do. `not_approved` are machines that wait to be let in."""
    because: list[str] = []
    actions: list[Action] = []
    if (paused := wait.paused) is not None:
        actions.append(Action(f"end the pause of {paused.scope}", f"northstar resume {paused.scope}"))
    fitting = [(machine, reason) for machine, reason in reasons if reason.code != "does_not_fit"]
    if not any(machine.active for machine, _ in fitting):
        because.append(_nobody(wait.wanted, snapshot))
        actions += _approvals(not_approved)
        actions += _undrained(fitting) or _for_the_closest(wait.wanted, reasons)
    elif wait.placed == 0 and wait.now_ms - wait.submitted_ms >= PLANNED_WITHIN_MS:
        because.append("machines fit, and no broker has planned for it: none runs, or it has trouble")
        actions.append(Action("start a broker, or look at its log", "northstar serve"))
    actions += _mended(fitting)
    for model in models:
        if not (model.in_memory or model.on_disk or model.fetching or model.can_be_fetched):
            because.append(
                f"no machine that fits tells of model {model.name}, and nobody said from where it can be had"
            )
            actions.append(order_of(model.name, fitting[0][0].id if fitting else "MACHINE"))
    return Standstill(because="; ".join(because), actions=tuple(dict.fromkeys(actions))[:MOST_ACTIONS])


def _nobody(wanted: RequirementClass, snapshot: CellSnapshot) -> str:
    """Why no machine takes such a job: no machine of its pool at all, or the need that keeps the closest one away."""
    pools = {pool for machine in snapshot.machines.values() for pool in _pools_of(machine, snapshot)}
    if snapshot.machines and wanted.pool not in pools and wanted.pool != UNIFORM:
        return f"no machine serves pool {wanted.pool} (there are {', '.join(sorted(pools)) or 'none'})"
    return why_nobody(wanted, snapshot)


def _pools_of(machine: MachineState, snapshot: CellSnapshot) -> tuple[str, ...]:
    profile = snapshot.profiles.get(machine.profile)
    return profile.pools if profile else ()


def order_of(model: str, machine: str, *, source: str = "URL", sha256: str = "HEX") -> Action:
    """Let a machine fetch a model.

    >>> order_of("flux.safetensors", "g1").command
    'northstar machines fetch g1 flux.safetensors --from URL --sha256 HEX'
    """
    named = shlex.quote(model)
    return Action(
        f"let {machine} fetch {model}",
        f"northstar machines fetch {machine} {named} --from {shlex.quote(source)} --sha256 {sha256}",
    )


def invitation(wanted: RequirementClass) -> str:
    """The command that lets a machine join which may serve the class; its hardware and engines are its own affair.

    >>> from northstar.domain.requirements import RequirementClass
    >>> asks = {"service": "s", "vram_mb": 0, "node_packs": ()}
    >>> invitation(RequirementClass(pool="heavy", tags=("eu",), isolation="acme", **asks))
    'northstar machines invite --pool heavy --tag eu --dedicated-to acme'
    """
    words = ["northstar machines invite --pool", wanted.pool]
    for tag in wanted.tags:
        words += ["--tag", tag]
    if len(wanted.regions) == 1:
        words += ["--region", wanted.regions[0]]
    if wanted.isolation:
        words += ["--dedicated-to", wanted.isolation]
    return " ".join(words)


def for_absent(machine: str, code: MachineCode, *, pools: Sequence[str]) -> tuple[Action, ...]:
    """What brings a machine back that is not here."""
    match code:
        case "not_approved":
            return (Action("let it work", f"northstar machines approve {machine}"),)
        case "revoked":
            return (
                Action("let it join anew", f"northstar machines invite {' '.join(f'--pool {pool}' for pool in pools)}"),
            )
        case _:
            return (Action("start its agent on its host", f"northstar agent {machine}"),)


def _approvals(names: Sequence[str]) -> list[Action]:
    return [Action(f"let {name} work: it waits for approval", f"northstar machines approve {name}") for name in names][
        :_MOST_MACHINES
    ]


def _undrained(fitting: Iterable[tuple[MachineState, Reason]]) -> list[Action]:
    """All that fit are draining; any of them would do."""
    return [
        Action(f"give {machine.id} work again: it drains", f"northstar machines drain {machine.id} --undo")
        for machine, reason in fitting
        if reason.code == "draining"
    ][:_MOST_MACHINES]


def _mended(fitting: Iterable[tuple[MachineState, Reason]]) -> list[Action]:
    """Machines that fit and say why they take no work."""
    return [
        Action(f"mend {machine.id}: {reason.says}", f"northstar machines show {machine.id}")
        for machine, reason in fitting
        if reason.code == "out_of_work" and reason.says
    ][:_MOST_MACHINES]


def _for_the_closest(wanted: RequirementClass, reasons: Iterable[tuple[MachineState, Reason]]) -> list[Action]:
    """What the machine that lacks least would need, or a new machine."""
    unfit = [(machine, reason) for machine, reason in reasons if reason.code == "does_not_fit"]
    if not unfit:
        return [
            Action(f"let a machine join pool {wanted.pool} that offers service {wanted.service}", invitation(wanted)),
            Action("or start one on this host", "northstar up"),
        ]
    closest, reason = min(unfit, key=lambda entry: (len(entry[1].lacks), not entry[0].active, entry[0].id))
    actions = [_remedy(lack, closest.id, wanted) for lack in reason.lacks]
    command = invitation(wanted)
    if any(action.command == command for action in actions):
        return actions
    return [*actions, Action(f"or let another machine join pool {wanted.pool} that has it", command)]


def _remedy(lack: Lack, machine: str, wanted: RequirementClass) -> Action:
    """What would give the machine what it lacks. What it may say of itself is granted by the invite by which it joins."""
    show = f"northstar machines show {machine}"
    match lack.need:
        case "pool":
            return Action(f"let {machine} serve pool {wanted.pool}: it {lack.says}", invitation(wanted))
        case "service":
            return Action(f"add an engine for service {wanted.service} to the settings of {machine}", show)
        case "vram":
            return Action(
                f"let a machine join that has {wanted.vram_mb} MB of VRAM; the closest, {machine}, {lack.says}",
                invitation(wanted),
            )
        case "node_packs" | "node_classes":
            return Action(f"install on {machine} what is missing (it {lack.says}), and restart its engine", show)
        case "tags":
            return Action(f"give {machine} the tags {', '.join(wanted.tags)}: it {lack.says}", invitation(wanted))
        case "region":
            return Action(f"let a machine join elsewhere; the closest, {machine}, {lack.says}", invitation(wanted))
        case "isolation":
            return Action(f"dedicate {machine} as the job asks: it {lack.says}", invitation(wanted))
        case "other":
            return Action(f"see to {machine}, which {lack.says}", show)
