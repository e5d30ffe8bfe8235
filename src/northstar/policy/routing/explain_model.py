"""Where a model is, why it is not elsewhere, and what to do to have it somewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.explanations import Absence, AbsenceCode, Action, KnownModel, LaneDemand, ModelWhere
from northstar.domain.reasons import MOST_NAMED, MOST_SHOWN
from northstar.policy.routing.candidates import lane_order
from northstar.policy.routing.explain_fit import lacks_of
from northstar.policy.routing.explain_idle import LaneWait, demand_of
from northstar.policy.routing.explain_remedies import by_hand, order_of, source_of
from northstar.policy.routing.model_supply import supply_of, unknown_on

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from northstar.domain.models import ModelNeed
    from northstar.domain.reasons import Lack
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

#: Those first that could have it soonest.
_ORDER: Final[tuple[AbsenceCode, ...]] = (
    "not_yet",
    "left_to_holders",
    "no_source",
    "not_asked",
    "keeps_none",
    "draining",
    "does_not_fit",
)
#: Names of holders that are told.
_MOST_HOLDERS = 10
#: Where there is no catalogue.
NOTHING_KNOWN: Mapping[str, KnownModel] = MappingProxyType({})


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model is and where it is not."""

    size_bytes: int = 0
    in_memory: int = 0
    on_disk: int = 0
    holders: tuple[str, ...] = ()
    asked_by: tuple[LaneDemand, ...] = ()
    more_lanes: int = 0
    absent: tuple[Absence, ...] = ()
    more_absent: int = 0
    actions: tuple[Action, ...] = ()


def lanes_asking(name: str, snapshot: CellSnapshot) -> list[LaneState]:
    """Lanes with unfinished jobs that ask for a model, in the order in which machines see them."""
    asking = (
        lane
        for lane in snapshot.lanes.values()
        if (lane.unfinished or lane.waits) and any(name == anchor for anchor, _ in lane.anchors)
    )
    return sorted(asking, key=lane_order)


def placement_of(
    name: str,
    snapshot: CellSnapshot,
    *,
    waiting: Mapping[str, LaneWait],
    fetching: Collection[str] = (),
    known: KnownModel | None = None,
    has_source: bool = False,
) -> Placement:
    """The model in the cell. `waiting` counts the jobs of lanes that ask for it, `fetching` are machines that fetch it or shall.

    `has_source`: a job that asks for it says from where it can be had.
    """
    asking = lanes_asking(name, snapshot)
    holders = sorted(
        (machine for machine in snapshot.machines.values() if name in machine.held),
        key=lambda machine: (machine.held[name] != "resident", machine.id),
    )
    in_memory = sum(machine.held[name] == "resident" for machine in holders)
    fetchable = has_source or bool(known and known.sources)
    absent = _Absences(name, asking, snapshot, is_held=bool(holders), fetchable=fetchable)
    groups = absent.groups(m for m in snapshot.machines.values() if name not in m.held and m.id not in fetching)
    sizes = (size for lane in asking for anchor, size in lane.anchors if anchor == name)
    demands = [demand_of(lane, waiting[lane.id].waiting if lane.id in waiting else 0, snapshot) for lane in asking]
    return Placement(
        size_bytes=known.size_bytes if known and known.size_bytes else max(sizes, default=0),
        in_memory=in_memory,
        on_disk=len(holders) - in_memory,
        holders=tuple(machine.id for machine in holders[:_MOST_HOLDERS]),
        asked_by=tuple(demands[:MOST_SHOWN]),
        more_lanes=len(demands[MOST_SHOWN:]),
        absent=tuple(groups[:MOST_SHOWN]),
        more_absent=sum(group.count for group in groups[MOST_SHOWN:]),
        actions=tuple(_actions(name, groups, snapshot, known=known)),
    )


def where_of(
    needs: Sequence[ModelNeed],
    able: Sequence[MachineState],
    *,
    fetching: Sequence[str],
    service: str,
    known: Mapping[str, KnownModel] = NOTHING_KNOWN,
    others: Sequence[MachineState] = (),
) -> list[ModelWhere]:
    """Where the models of a job of this service are, among the machines that could run it, and how many of the `others` hold them.

    `fetching` are models that are under way, one entry a machine; `known` is what the catalogue says of some of them.
    """
    found = []
    for need in needs:
        states = [machine.held.get(need.name) for machine in able]
        supplies = [supply_of(machine, service) for machine in able if unknown_on(machine, (need.name,))]
        found.append(
            ModelWhere(
                name=need.name,
                size_bytes=need.size_bytes,
                in_memory=states.count("resident"),
                on_disk=states.count("disk"),
                fetching=Counter(fetching)[need.name],
                elsewhere=sum(need.name in machine.held for machine in others),
                can_be_fetched=bool(need.sources or (need.name in known and known[need.name].sources)),
                engine_may_have=supplies.count("engine_may_have"),
                engine_names_others=supplies.count("engine_names_others"),
            )
        )
    return found


class _Absences:
    """Why machines do not hold one model."""

    def __init__(
        self, name: str, asking: Sequence[LaneState], snapshot: CellSnapshot, *, is_held: bool, fetchable: bool
    ) -> None:
        self._name = name
        self._snapshot = snapshot
        self._classes = list(dict.fromkeys(lane.requirement_class for lane in asking))
        self._is_held = is_held
        self._fetchable = fetchable
        self._lacks: dict[str, tuple[Lack, ...] | None] = {}

    def groups(self, machines: Iterable[MachineState]) -> list[Absence]:
        """Machines of one profile and one reason together, those that could have it first."""
        found: dict[tuple[str, AbsenceCode], list[str]] = {}
        for machine in machines:
            found.setdefault((machine.profile, self._code(machine)), []).append(machine.id)
        groups = [
            self._group(profile, code, sorted(names, key=self._order)) for (profile, code), names in found.items()
        ]
        return sorted(groups, key=lambda group: (_ORDER.index(group.code), -group.count, group.names[0]))

    def _order(self, machine: str) -> tuple[bool, bool, str]:
        """One that takes work first. One that tells of a disk for models can fetch for certain; others may keep none."""
        state = self._snapshot.machines[machine]
        return not state.takes_work, not state.description.disk_bytes, machine

    def _group(self, profile: str, code: AbsenceCode, names: list[str]) -> Absence:
        known = self._snapshot.profiles.get(profile)
        return Absence(
            code=code,
            count=len(names),
            names=tuple(names[:MOST_NAMED]),
            lacks=(self._least_lacks(profile) or ()) if code == "does_not_fit" else (),
            pools=known.pools if known else (),
        )

    def _code(self, machine: MachineState) -> AbsenceCode:
        if not machine.active:
            return "draining"
        lacks = self._least_lacks(machine.profile)
        if lacks:
            return "does_not_fit"
        if not machine.description.keeps_models:
            return "keeps_none"
        if lacks is None:
            return "not_asked"
        if self._is_held:
            return "left_to_holders"
        return "not_yet" if self._fetchable else "no_source"

    def _least_lacks(self, profile: str) -> tuple[Lack, ...] | None:
        """What machines of the profile lack for the lane that asks for the model and that they fit best; None if none asks."""
        if profile not in self._lacks:
            wanted = (self._snapshot.classes.get(name) for name in self._classes)
            lacks = [lacks_of(profile, one, self._snapshot) for one in wanted if one is not None]
            self._lacks[profile] = min(lacks, key=len, default=None)
        return self._lacks[profile]


def _actions(
    name: str, absent: Sequence[Absence], snapshot: CellSnapshot, *, known: KnownModel | None
) -> Iterable[Action]:
    """How to make it known, and how to have it on the first machine that could use it."""
    fetch_by = known.fetch_by if known else ""
    if not fetch_by:
        yield source_of(known.entry or known.name if known else name)
    could = [group.names[0] for group in absent if group.code not in {"draining", "does_not_fit", "keeps_none"}]
    could.sort(
        key=lambda machine: (
            not snapshot.machines[machine].takes_work,
            not snapshot.machines[machine].description.disk_bytes,
        )
    )
    without_folder = [group.names[0] for group in absent if group.code == "keeps_none"]
    if without_folder and not could:
        yield by_hand(name, without_folder[0])
    if could:
        order = order_of(fetch_by or name, could[0], is_known=bool(fetch_by))
        keeps = snapshot.machines[could[0]].description.disk_bytes
        yield (
            order
            if keeps
            else Action(f"{order.what} (it tells of no disk for models, and may keep none)", order.command)
        )
