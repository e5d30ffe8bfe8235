"""Why each machine of a cell does not run a job now: one reason a machine, and alike machines together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.reasons import MOST_NAMED, MOST_SHOWN, Groups, MachineGroup, Patience, Reason, ReasonCode
from northstar.policy.routing.explain_fit import lacks_of
from northstar.policy.routing.explain_holders import Counted, counted_holders, standing_of
from northstar.policy.routing.gpu_pace import NO_PACES, GpuPaces
from northstar.policy.routing.model_supply import is_left_to_engine, supply_of, unknown_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.domain.reasons import Lack
    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

#: Reasons in the order in which machines could run the job: the soonest first.
_ORDER: Final[tuple[ReasonCode, ...]] = (
    "takes_it",
    "others_first",
    "leaves_to_holders",
    "no_room",
    "busy",
    "overdue_first",
    "out_of_work",
    "paused",
    "draining",
    "does_not_fit",
)


#: Whatever its engine has, it does not run the job.
_NOT_NOW: Final[frozenset[ReasonCode]] = frozenset({"does_not_fit", "draining", "paused", "out_of_work"})


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """A lane's job that waits, and what of the cell bears on it. Times in ms by the cell's clock."""

    lane: LaneState
    wanted: RequirementClass
    now_ms: int
    submitted_ms: int
    #: When the lane's oldest waiting job was submitted: patience counts from there.
    oldest_ms: int
    #: What is submitted so much later than a job does not go before it, whatever is better placed.
    overdue_ms: int
    #: Jobs that come before it and can take the same machines.
    ahead: int = 0
    #: Machines to which a broker's plan has given the lane; None: not looked at.
    placed: int | None = None
    #: The first of them, in the order in which the cell gives them the lane's jobs.
    ranked: tuple[str, ...] = ()
    #: How fast classes of GPU are, as in the plans that rank the machines.
    paces: GpuPaces = NO_PACES
    #: What is paused and why: `cell` or `pool:NAME`.
    pauses: Mapping[str, str] = {}

    @property
    def paused(self) -> Reason | None:
        """The pause that keeps the job, if any."""
        for scope in ("cell", f"pool:{self.wanted.pool}"):
            if scope in self.pauses:
                return Reason(code="paused", scope=scope, says=self.pauses[scope])
        return None


def reasons_of(wait: Wait, snapshot: CellSnapshot, rule: PatienceRule) -> list[tuple[MachineState, Reason]]:
    """Every machine of the cell with the reason why it does not run the job now, or that it takes it."""
    lacks = {profile: lacks_of(profile, wait.wanted, snapshot) for profile in _profiles(snapshot)}
    fitting = [machine for machine in snapshot.machines.values() if not lacks[machine.profile]]
    holders = counted_holders(fitting, wait.lane, now_ms=wait.now_ms, paces=wait.paces)
    return [
        (
            machine,
            with_engine(_reason(machine, wait, lacks[machine.profile], holders=holders, rule=rule), machine, wait),
        )
        for machine in snapshot.machines.values()
    ]


def with_engine(reason: Reason, machine: MachineState, wait: Wait) -> Reason:
    """The reason of a machine that could run the job, with the models that its engine must have if it keeps no models folder."""
    if machine.description.keeps_models or reason.code in _NOT_NOW:
        return reason
    unknown = unknown_on(machine, (name for name, _ in wait.lane.anchors))
    return msgspec.structs.replace(
        reason,
        engine_must_have=unknown[:MOST_NAMED],
        engine_names_others=bool(unknown) and supply_of(machine, wait.wanted.service) == "engine_names_others",
    )


def _profiles(snapshot: CellSnapshot) -> set[str]:
    return {machine.profile for machine in snapshot.machines.values()}


def _reason(
    machine: MachineState, wait: Wait, lacks: tuple[Lack, ...], *, holders: Counted, rule: PatienceRule
) -> Reason:
    if lacks:
        return Reason(code="does_not_fit", lacks=lacks)
    if not machine.takes_work:
        return (
            Reason(code="out_of_work", says=machine.description.trouble) if machine.active else Reason(code="draining")
        )
    if (paused := wait.paused) is not None:
        return paused
    if machine.used >= machine.slots:
        return Reason(code="busy")
    if not machine.parked:
        return Reason(code="out_of_work", says=machine.description.trouble)
    if (no_room := no_room_for(machine, wait.wanted)) is not None:
        return no_room
    patience = patience_of(machine, wait, holders, rule)
    if patience is not None:
        return Reason(code="leaves_to_holders", patience=patience)
    return Reason(code="others_first", ahead=wait.ahead) if wait.ahead else Reason(code="takes_it")


def no_room_for(machine: MachineState, wanted: RequirementClass) -> Reason | None:
    """What of the machine's memory is free, if a job of the class needs more."""
    if wanted.vram_mb <= machine.vram_free_mb:
        return None
    return Reason(code="no_room", needs_mb=wanted.vram_mb, free_mb=machine.vram_free_mb)


def patience_of(machine: MachineState, wait: Wait, holders: Counted, rule: PatienceRule) -> Patience | None:
    """What is left of the machine's patience with the lane; None if it may take the lane's next job now.

    An overdue job goes to any machine that it fits, so patience ends there at the latest.
    """
    service = wait.wanted.service
    standing = standing_of(machine, wait.lane, holders, rule, service=service, now_ms=wait.now_ms, paces=wait.paces)
    ends_ms = min(wait.oldest_ms + standing.wait_ms, wait.submitted_ms + wait.overdue_ms)
    if not standing.wait_ms or ends_ms <= wait.now_ms:
        return None
    return Patience(
        left_s=(ends_ms - wait.now_ms) / 1000,
        whole_s=standing.wait_ms / 1000,
        missing_bytes=standing.missing_bytes,
        bytes_per_s=machine.download_bytes_per_s,
        holders=standing.better,
        jobs=standing.jobs,
        coming_s=standing.coming_ms / 1000,
        engine_names_others=supply_of(machine, service) == "engine_names_others"
        and is_left_to_engine(machine, wait.lane.anchors),
    )


def grouped(
    reasons: Iterable[tuple[MachineState, Reason]],
    snapshot: CellSnapshot,
    *,
    ranked: Iterable[str] = (),
    most: int = MOST_SHOWN,
) -> Groups:
    """Machines of one profile and one kind of reason together, at most `most` groups; the others are counted.

    Of groups with the same kind of reason those come first whose machines the cell's ranking of the lane has first (`ranked`), and so do the
    machines of a group.
    """
    places = {machine: place for place, machine in enumerate(ranked)}
    found: dict[tuple[object, ...], list[tuple[MachineState, Reason]]] = {}
    for machine, reason in reasons:
        kind = (machine.profile, reason.code, reason.engine_must_have, reason.engine_names_others)
        found.setdefault(kind, []).append((machine, reason))
    groups = sorted(
        (_group(members, snapshot, places) for members in found.values()), key=lambda group: _rank(group, places)
    )
    return Groups(
        shown=tuple(groups[:most]),
        more_groups=len(groups[most:]),
        more_machines=sum(group.count for group in groups[most:]),
    )


def _group(
    members: list[tuple[MachineState, Reason]], snapshot: CellSnapshot, places: Mapping[str, int]
) -> MachineGroup:
    machines = sorted(members, key=lambda member: (_left_s(member[1]), _place(member[0].id, places), member[0].id))
    first, reason = machines[0]
    profile = snapshot.profiles.get(first.profile)
    return MachineGroup(
        count=len(machines),
        names=tuple(machine.id for machine, _ in machines[:MOST_NAMED]),
        reason=reason,
        pools=profile.pools if profile else (),
        gpu=first.description.gpu,
        slots=sum(machine.slots for machine, _ in machines),
        used=sum(machine.used for machine, _ in machines),
    )


def _rank(group: MachineGroup, places: Mapping[str, int]) -> tuple[int, int, float, int, int, str]:
    return (
        _ORDER.index(group.reason.code),
        len(group.reason.lacks),
        _left_s(group.reason),
        _place(group.names[0], places),
        -group.count,
        group.names[0],
    )


def _place(machine: str, places: Mapping[str, int]) -> int:
    return places.get(machine, len(places))


def _left_s(reason: Reason) -> float:
    return reason.patience.left_s if reason.patience is not None else 0.0
