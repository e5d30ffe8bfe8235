"""What each pool has for one kind of job: machines that fit, holders of its models, free slots, and how soon models could be there.

A machine that takes no work at present, because it drains or none of its engines answers, counts for nothing here; what it is known to
have and to be stays known while it is not drained. Machines are counted by profile, and the answer for a need is remembered as long as the view of the fleet lives, so a job costs what its
need costs once: the number of profiles and of holders, never that of machines.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.pools import UNIFORM
from northstar.policy.routing.fit import FitDecision, decide_fit
from northstar.policy.routing.links import ASSUMED_BYTES_PER_S, BELIEVED_BYTES_PER_S
from northstar.policy.routing.model_supply import supply_of
from northstar.policy.routing.pool_fallback import PoolCapacity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from northstar.domain.machines import MachineProfile
    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.snapshot import CellSnapshot, MachineState


#: Classes of GPU of which it is asked how long a job takes there; of a fleet of more the rarest are taken as the usual.
_MOST_GPU_CLASSES: Final = 16
#: Models of which it is remembered who holds them; clients choose what they ask for.
_MOST_MODELS: Final = 4_096


class ModelWanted(msgspec.Struct, frozen=True, order=True):
    """A model that a job needs: its size in bytes (0 is unknown), and whether machines that lack it know where to fetch it."""

    name: str
    size_bytes: int
    can_be_fetched: bool


class _Group(msgspec.Struct, frozen=True, kw_only=True):
    """Machines of one profile that take work."""

    profile: MachineProfile
    machines: dict[str, MachineState]
    slots: int
    free: int
    #: The quickest link among those that keep models, bytes per second; 0: none does.
    bytes_per_s: float
    #: Those that keep no models folder.
    folderless: tuple[MachineState, ...] = ()


class _Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one group of machines adds to the pools that it serves."""

    group: _Group
    decision: FitDecision
    holders: int = 0
    free_holders: int = 0
    fetch_s: float | None = None
    engine_may_have: int = 0
    engine_names_others: int = 0


class FleetCapacity:
    """The machines of one snapshot, by profile and by the models that they hold."""

    def __init__(self, snapshot: CellSnapshot) -> None:
        self._node_sets = snapshot.node_sets
        there = _by_profile(snapshot)
        self._groups = _groups(there, snapshot)
        self._idle = [machine for machines in there.values() for machine in machines if not machine.takes_work]
        #: Model -> profile -> machines that hold it, of models that somebody asked for: machines hold many more.
        self._holding: dict[str, dict[str, set[str]]] = {}
        self._telling = frozenset(
            service
            for profile in (snapshot.profiles[name] for name in there)
            if profile.node_set
            for service in profile.services
        )
        self._kinds = _kinds(machines[0] for machines in there.values())
        self._shared: dict[str, dict[str, float]] = {}
        #: Classes of GPU of its machines, the most frequent first, at most 16.
        self.gpu_classes = _gpu_classes(self._groups.values())
        self._fits: dict[RequirementClass, list[tuple[str, str, FitDecision]]] = {}
        self._known: dict[tuple[RequirementClass, tuple[ModelWanted, ...]], dict[str, PoolCapacity]] = {}

    def holds(self, model: str) -> bool:
        """Whether some machine that does not drain has this model, so that it is one that is known."""
        return bool(self._holders_of(model)) or any(model in machine.held for machine in self._idle)

    def tells_nodes(self, service: str) -> bool:
        """Whether some machine that offers the service says which node classes it knows."""
        return service in self._telling

    def engine_kind(self, service: str) -> str:
        """What kind of engine offers the service; empty if nobody says, or several kinds do."""
        return self._kinds.get(service, "")

    def shared(self, pool: str) -> dict[str, float]:
        """Pool -> how much of a slot of it one more job of `pool` takes.

        So a job of a pool takes a whole slot of it, and of another as much as there is chance that it goes to a machine of both.
        """
        if pool not in self._shared:
            slots: Counter[str] = Counter()
            for group in self._groups.values():
                serves = (*group.profile.pools, UNIFORM)
                if pool in serves:
                    slots.update(dict.fromkeys(serves, group.slots))
            whole = slots[pool]
            self._shared[pool] = {name: part / whole for name, part in slots.items()} if whole else {pool: 1.0}
        return self._shared[pool]

    def of(self, wanted: RequirementClass, models: tuple[ModelWanted, ...]) -> dict[str, PoolCapacity]:
        """Capacity by pool, `uniform` among them, for jobs that need this; the pool that `wanted` names does not count."""
        wanted = msgspec.structs.replace(wanted, pool=UNIFORM)
        key = (wanted, models)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._counted(wanted, models)
        return known

    def lacks(self, wanted: RequirementClass) -> dict[str, tuple[str, ...]]:
        """Profile -> what its machines that take work lack for such jobs in a pool of theirs; of work without pools, at all."""
        found: dict[str, tuple[str, ...]] = {}
        for pool, profile, decision in self._fitting(msgspec.structs.replace(wanted, pool=UNIFORM)):
            if (pool == UNIFORM) == (wanted.pool == UNIFORM):
                found[profile] = decision.reasons
        return found

    def _counted(self, wanted: RequirementClass, models: tuple[ModelWanted, ...]) -> dict[str, PoolCapacity]:
        shares: dict[str, list[_Share]] = {}
        for pool, profile_id, decision in self._fitting(wanted):
            share = self._share(profile_id, self._groups[profile_id], decision, models, service=wanted.service)
            shares.setdefault(pool, []).append(share)
        return {pool: _capacity(found) for pool, found in shares.items()}

    def _fitting(self, wanted: RequirementClass) -> list[tuple[str, str, FitDecision]]:
        """Pool, profile, and whether machines of that profile can serve the class in that pool; whatever the models."""
        if wanted not in self._fits:
            self._fits[wanted] = [
                (pool, name, decide_fit(group.profile, msgspec.structs.replace(wanted, pool=pool), self._node_sets))
                for name, group in self._groups.items()
                for pool in (*group.profile.pools, UNIFORM)
            ]
        return self._fits[wanted]

    def _share(
        self, profile_id: str, group: _Group, decision: FitDecision, models: tuple[ModelWanted, ...], *, service: str
    ) -> _Share:
        if not decision.fits:
            return _Share(group=group, decision=decision)
        holding = self._holders(profile_id, group, models)
        free = sum(max(0, group.machines[one].slots - group.machines[one].used) for one in holding)
        fetch_s = 0.0 if holding else _fetch_s(models, group.bytes_per_s)
        left = Counter(supply_of(one, service) for one in group.folderless if one.id not in holding)
        return _Share(
            group=group,
            decision=decision,
            holders=len(holding),
            free_holders=free,
            fetch_s=fetch_s,
            engine_may_have=left["engine_may_have"],
            engine_names_others=left["engine_names_others"],
        )

    def _holders(self, profile_id: str, group: _Group, models: tuple[ModelWanted, ...]) -> Collection[str]:
        sets = [self._holders_of(model.name).get(profile_id, set()) for model in models]
        return set.intersection(*sets) if sets else group.machines.keys()

    def _holders_of(self, model: str) -> dict[str, set[str]]:
        """Profile -> its machines that take work and hold the model; only profiles that have some."""
        known = self._holding.get(model)
        if known is None:
            if len(self._holding) >= _MOST_MODELS:
                self._holding.clear()
            found = (
                (profile_id, {name for name, machine in group.machines.items() if model in machine.held})
                for profile_id, group in self._groups.items()
            )
            known = self._holding[model] = {profile_id: names for profile_id, names in found if names}
        return known


def _gpu_classes(groups: Iterable[_Group]) -> tuple[str, ...]:
    counts = Counter(machine.gpu_class for group in groups for machine in group.machines.values())
    return tuple(sorted(counts, key=lambda name: (-counts[name], name))[:_MOST_GPU_CLASSES])


def _kinds(machines: Iterable[MachineState]) -> dict[str, str]:
    """Service -> the kind of engine that offers it, where there is just one."""
    found: dict[str, set[str]] = {}
    for machine in machines:
        for engine in machine.description.engines:
            if engine.kind:
                found.setdefault(engine.service, set()).add(engine.kind)
    return {service: kinds.pop() for service, kinds in found.items() if len(kinds) == 1}


def _by_profile(snapshot: CellSnapshot) -> dict[str, list[MachineState]]:
    """Profile -> its machines that do not drain, those among them that take no work at present too."""
    found: dict[str, list[MachineState]] = {}
    for machine in snapshot.machines.values():
        if machine.active and machine.profile in snapshot.profiles:
            found.setdefault(machine.profile, []).append(machine)
    return found


def _groups(there: Mapping[str, list[MachineState]], snapshot: CellSnapshot) -> dict[str, _Group]:
    working = {
        profile_id: {machine.id: machine for machine in machines if machine.takes_work}
        for profile_id, machines in there.items()
    }
    return {
        profile_id: _Group(
            profile=snapshot.profiles[profile_id],
            machines=machines,
            slots=sum(machine.slots for machine in machines.values()),
            free=sum(max(0, machine.slots - machine.used) for machine in machines.values()),
            bytes_per_s=_quickest(machines.values()),
            folderless=tuple(machine for machine in machines.values() if not machine.description.keeps_models),
        )
        for profile_id, machines in working.items()
        if machines
    }


def _quickest(machines: Iterable[MachineState]) -> float:
    rates = (one.download_bytes_per_s or ASSUMED_BYTES_PER_S for one in machines if one.description.keeps_models)
    return min(BELIEVED_BYTES_PER_S, max(rates, default=0.0))


def _fetch_s(models: tuple[ModelWanted, ...], bytes_per_s: float) -> float | None:
    """Seconds to fetch all of them; None where nobody fetches, or nobody knows from where one of them could be had."""
    if not bytes_per_s or not all(model.can_be_fetched for model in models):
        return None
    return sum(model.size_bytes for model in models) / bytes_per_s


def _capacity(shares: list[_Share]) -> PoolCapacity:
    fitting = [share for share in shares if share.decision.fits]
    closest = min((share.decision.reasons for share in shares), key=len, default=())
    return PoolCapacity(
        machines=sum(len(share.group.machines) for share in shares),
        fit=sum(len(share.group.machines) for share in fitting),
        holders=sum(share.holders for share in fitting),
        slots=sum(share.group.slots for share in shares),
        free=sum(share.group.free for share in shares),
        free_fit=sum(share.group.free for share in fitting),
        free_holders=sum(share.free_holders for share in fitting),
        fetch_s=min((share.fetch_s for share in fitting if share.fetch_s is not None), default=None),
        nearest_lacks=" and ".join(closest),
        engine_may_have=sum(share.engine_may_have for share in fitting),
        engine_names_others=sum(share.engine_names_others for share in fitting),
    )
