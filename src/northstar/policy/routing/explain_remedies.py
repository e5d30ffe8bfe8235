"""What would have to change before a job runs, as things to do, each with the command to type."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.budgets import BUDGET_SPENT, raising
from northstar.domain.explanations import Action, ModelWhere
from northstar.policy.routing.coming import why_given_up
from northstar.policy.routing.eta import why_nobody
from northstar.policy.routing.explain_nearest import for_the_closest
from northstar.policy.routing.pool_entry import ANY_ENTRY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from northstar.domain.explanations import MachineCode
    from northstar.domain.reasons import Reason
    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.coming import ComingMachine
    from northstar.policy.routing.eta import Here
    from northstar.policy.routing.explain_machines import Wait
    from northstar.policy.routing.pool_entry import PoolEntry
    from northstar.policy.routing.snapshot import CellSnapshot, MachineState

#: A broker plans within a second of whatever changes; after so long, none does.
PLANNED_WITHIN_MS: Final = 5_000
#: As many as are worth reading.
MOST_ACTIONS: Final = 8
#: Machines named for the same action.
_MOST_MACHINES: Final = 3
_START_HERE: Final = "northstar up"


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
    home: RequirementClass | None = None,
    here: Here | None = None,
    of_this_host: Collection[str] = (),
    entry: PoolEntry = ANY_ENTRY,
    given_up: Sequence[ComingMachine] = (),
) -> Standstill:
    """What keeps the job from running at all, and what to do.

    `home` is its class in the pool to which it belongs, if `wait` asks about another in which it would do. `not_approved` are machines that wait to be let in, `of_this_host` those that `northstar up` runs from its settings, and
    `entry` says which of them could be given a pool; `given_up` are those of them that died again and again.
    """
    because: list[str] = []
    actions: list[Action] = []
    fitting = [(machine, reason) for machine, reason in reasons if reason.code != "does_not_fit"]
    if not any(machine.takes_work for machine, _ in fitting):
        because.append(why_nobody(wait.wanted, snapshot, here=here))
        if lost := why_given_up(given_up):
            because.append(lost)
        actions += _approvals(not_approved)
        actions += [start_again(one.name) for one in given_up[:_MOST_MACHINES]]
        others = (
            _undrained(fitting)
            or _mended(fitting)
            or for_the_closest(wait.wanted, reasons, snapshot, home=home, of_this_host=of_this_host, entry=entry)
        )
        # Where those of this host were given up, one that is started here would be given up as well.
        actions += [one for one in others if not (given_up and one.command == _START_HERE)]
    elif wait.placed == 0 and wait.now_ms - wait.submitted_ms >= PLANNED_WITHIN_MS:
        because.append("machines fit, and no broker has planned for it: none runs, or it has trouble")
        actions.append(Action("start a broker, or look at its log", "northstar serve"))
    if (paused := wait.paused) is not None:
        also = "also " if because else ""
        actions.append(end_of_pause(paused.scope, paused.says, also=also))
    actions += _mended(fitting)
    for model in models:
        if _is_nowhere(model) and not model.can_be_fetched:
            because.append(_cannot_be_had(model))
            actions.append(_supplied(model.name, [machine for machine, _ in fitting]))
        elif _is_nowhere(model) and fitting and not any(one.description.keeps_models for one, _ in fitting):
            because.append(
                f"model {model.name} cannot be had: no machine that fits keeps models, and their engines name others"
            )
            actions.append(_supplied(model.name, [machine for machine, _ in fitting]))
    return Standstill(because="; ".join(because), actions=tuple(dict.fromkeys(actions))[:MOST_ACTIONS])


def _is_nowhere(model: ModelWhere) -> bool:
    """Whether no machine that fits has it, gets it, or may have it without telling."""
    return not (model.in_memory or model.on_disk or model.fetching or model.engine_may_have)


def _supplied(model: str, fitting: Sequence[MachineState]) -> Action:
    """What brings it to a machine that fits: an order, or where none of them keeps models, somebody's hand."""
    keeping = next((one for one in fitting if one.description.keeps_models), None)
    if keeping is not None:
        return order_of(model, keeping.id)
    if not fitting:
        return source_of(model)
    return by_hand(model, fitting[0].id)


def _cannot_be_had(model: ModelWhere) -> str:
    """Of a model that no machine has which could run the job."""
    where = "no machine tells of it"
    if model.elsewhere:
        which = (
            "the machine that has it does"
            if model.elsewhere == 1
            else f"the {model.elsewhere} machines that have it do"
        )
        where = f"{which} not fit"
    return f"model {model.name} cannot be had: {where}, and nobody said from where to fetch it"


def order_of(model: str, machine: str, *, is_known: bool = False) -> Action:
    """Let a machine fetch a model; one that the catalogue has with its sources `is_known`, and is called as there.

    >>> order_of("flux.safetensors", "g1").command
    'northstar machines fetch g1 flux.safetensors --from URL --sha256 HEX'
    >>> order_of("flux", "g1", is_known=True).command
    'northstar machines fetch g1 flux'
    """
    source = "" if is_known else " --from URL --sha256 HEX"
    return Action(f"let {machine} fetch {model}", f"northstar machines fetch {machine} {shlex.quote(model)}{source}")


def source_of(model: str) -> Action:
    """Say from where a model can be had."""
    return Action(
        f"say once for all jobs from where {model} can be had", f"northstar models add URL --name {shlex.quote(model)}"
    )


def by_hand(model: str, machine: str) -> Action:
    """What brings a model to a machine that keeps no models folder, so that no order would."""
    return Action(
        f"put {model} where the engine of {machine} finds it, or give {machine} a models folder (models.root)",
        f"northstar machines show {machine}",
    )


def for_barred(job: str, tenant: str) -> tuple[Action, ...]:
    """What lets a job run again, or another in its place, that its tenant's terms keep from every machine.

    >>> [one.command for one in for_barred("j1", "acme")]
    ['northstar tenants show acme', 'northstar cancel j1']
    """
    return (
        Action("have the terms of its tenant changed", f"northstar tenants show {tenant}"),
        Action("or cancel it, and submit another as they allow", f"northstar cancel {job}"),
    )


def for_held(tenant: str) -> tuple[Action, ...]:
    """What lets the jobs of a tenant run again whose budget is spent.

    >>> [one.command for one in for_held("acme")]
    ['northstar tenants show acme', 'northstar costs']
    """
    return (
        Action("wait for the next day or month, or have the budget raised", f"northstar tenants show {tenant}"),
        Action("see what it was spent on", "northstar costs"),
    )


def end_of_pause(scope: str, because: str, *, also: str = "") -> Action:
    """What ends a pause: somebody's word, or more money where that is why.

    >>> end_of_pause("cell", "repairs").command, end_of_pause("cell", "NS_BUDGET_SPENT: the fleet's budget of this day …").command
    ('northstar resume cell', 'northstar budget set --usd-per-day USD')
    """
    if because.startswith(BUDGET_SPENT):
        return Action(
            f"{also}raise the fleet's budget, or lift it with northstar budget lift; northstar costs tells what it was spent on",
            raising(because),
        )
    return Action(f"{also}end the pause of {scope}", f"northstar resume {scope}")


def start_again(machine: str) -> Action:
    """What brings a machine of this host back that was given up."""
    return Action(f"mend what {machine} died of, stop North Star and start it again", _START_HERE)


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
