"""What cannot be in a scenario of which each key alone is fine: the fleet against itself, the pools, and the jobs that will come."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from northstar.domain.amounts import size
from northstar.domain.misfits import alike
from northstar.domain.pools import Pools
from northstar.policy.fleet.pool_membership import Announced, pool_refusals
from northstar.simulation.fleet.errors import PlanImpossible
from northstar.simulation.fleet.plan import MAX_MACHINES, FleetPlan, MachineGroup, MachineKind
from northstar.simulation.fleet.timeline import machine_of
from northstar.simulation.scenario.plan import MAX_RUNS, Scenario

if TYPE_CHECKING:
    from northstar.simulation.scenario.survey import Survey

_GB = 1_000_000_000


def check_scenario(scenario: Scenario, *, policies: Collection[str]) -> None:
    """The parts that need nothing but the file. `policies` are the names of those that can be compared.

    Raises:
        PlanImpossible: with the first problem and its key.
    """
    for key, names in (("policies", scenario.policies), ("seeds", scenario.seeds)):
        twice = _first_twice(names)
        if twice is not None:
            raise PlanImpossible(f"names {names[twice]} a second time; take one out", path=f"{key}[{twice}]")
    for at, policy in enumerate(scenario.policies):
        if policy not in policies:
            near = alike(policy, list(policies))
            hint = f"; did you mean {near}?" if near else ""
            raise PlanImpossible(f"is {policy!r}, one of {', '.join(policies)}{hint}", path=f"policies[{at}]")
    if len(scenario.policies) * len(scenario.seeds) > MAX_RUNS:
        raise PlanImpossible(f"make more than {MAX_RUNS:,} runs with as many policies; take some out", path="seeds")
    window = scenario.window
    if window.last_days is not None and (window.begins.ms or window.until is not None):
        raise PlanImpossible("is said in place of `from` and `until`; take it or them out", path="window.last_days")
    if window.until is not None and window.until.ms <= window.begins.ms:
        raise PlanImpossible(f"is {window.until}, not after the window's beginning", path="window.until")
    _check_groups(scenario.fleet)


def _check_groups(fleet: FleetPlan) -> None:
    twice = _first_twice([group.name for group in fleet.groups])
    if twice is not None:
        raise PlanImpossible(
            f"is {fleet.groups[twice].name}, which another group is called too", path=f"fleet.groups[{twice}].name"
        )
    for at, group in enumerate(fleet.groups):
        path = f"fleet.groups[{at}]"
        if group.kind not in fleet.kinds:
            near = alike(group.kind, list(fleet.kinds))
            hint = f"; did you mean {near}?" if near else ""
            raise PlanImpossible(f"is {group.kind!r}, one of {', '.join(fleet.kinds)}{hint}", path=f"{path}.kind")
        if group.leaves is not None and group.leaves.ms <= group.joins.ms:
            raise PlanImpossible(f"is {group.leaves}, not after the group has joined", path=f"{path}.leaves")
        _check_scaling(fleet, at)
    wanted = 0
    for at, group in enumerate(fleet.groups):
        wanted += group.count
        if wanted > MAX_MACHINES:
            raise PlanImpossible(
                f"makes {wanted:,} machines with those of the groups before it, of {MAX_MACHINES:,} that may be",
                path=f"fleet.groups[{at}].count",
            )
    for name, kind in fleet.kinds.items():
        baked_gb = sum(file.gb for file in kind.image)
        if len({file.name for file in kind.image}) < len(kind.image):
            raise PlanImpossible("names a file twice; take one out", path=f"fleet.kinds.{name}.image")
        if baked_gb > 10_000:
            raise PlanImpossible(
                f"has {baked_gb:,.0f} GB of models, more than any image", path=f"fleet.kinds.{name}.image"
            )


def _check_scaling(fleet: FleetPlan, at: int) -> None:
    """A group that follows its queue has no other law by which its machines come and go."""
    group, path = fleet.groups[at], f"fleet.groups[{at}]"
    plan = group.scaling
    if plan is None:
        return
    if plan.least > group.count:
        raise PlanImpossible(
            f"is {plan.least}, more than the group's count of {group.count}", path=f"{path}.scaling.least"
        )
    if not plan.every.ms:
        raise PlanImpossible("must be longer than nothing", path=f"{path}.scaling.every")
    usual = MachineGroup(name=group.name, kind=group.kind, count=group.count)
    for key in ("joins", "leaves", "boot_is_paid", "lifetime", "notice", "disks", "replaced", "replaced_after"):
        if getattr(group, key) != getattr(usual, key):
            raise PlanImpossible(
                "is of groups whose machines come and go by themselves, and this one follows its queue; take it or `scaling` out",
                path=f"{path}.{key}",
            )
    for before in range(at):
        other = fleet.groups[before]
        shared = (
            set(fleet.kinds[other.kind].pools) & set(fleet.kinds[group.kind].pools)
            if other.kind in fleet.kinds
            else set()
        )
        if other.scaling is not None and shared:
            raise PlanImpossible(
                f"follows the queue of {min(shared)}, which group {other.name} follows too: both would grow for the same jobs. Give "
                "them kinds of different pools, or take one out",
                path=f"{path}.scaling",
            )


def check_pools(fleet: FleetPlan, pools: Pools) -> None:
    """Whether every machine may enter the pools that it names, by the rule that a broker has for real ones.

    Raises:
        PlanImpossible: a kind names a pool that is not there, or one that does not take such machines.
    """
    counts: dict[str, int] = {}
    for group in fleet.groups:
        for pool in fleet.kinds[group.kind].pools:
            counts[pool] = counts.get(pool, 0) + group.count
    for name, kind in fleet.kinds.items():
        path = f"fleet.kinds.{name}.pools"
        for at, pool in enumerate(kind.pools):
            if pool not in pools.pools:
                near = alike(pool, list(pools.pools))
                hint = f"; did you mean {near}?" if near else ""
                raise PlanImpossible(f"is {pool!r}, one of {', '.join(pools.pools)}{hint}", path=f"{path}[{at}]")
        machine = machine_of(kind, name)
        announced = Announced(profile=machine.profile(), description=machine.description())
        others = {pool: max(0, count - 1) for pool, count in counts.items()}
        for pool, reasons in pool_refusals(pools, announced, others).items():
            raise PlanImpossible(
                f"names {pool}, which does not take such a machine: {'; '.join(reasons)}. Give it other pools, or name a file of pools that asks for "
                "less in settings.pools",
                path=f"{path}[{kind.pools.index(pool)}]",
            )


def check_jobs(fleet: FleetPlan, survey: Survey) -> None:
    """Whether the fleet can do what will be asked of it.

    Raises:
        PlanImpossible: jobs ask for a service, a pool, or an amount of memory or disk that no machine of the fleet has.
    """
    used = {group.kind: fleet.kinds[group.kind] for group in fleet.groups}
    for asked in survey.asked:
        offering = {name: kind for name, kind in used.items() if asked.service in kind.services}
        if not offering:
            known = sorted({service for kind in used.values() for service in kind.services})
            raise PlanImpossible(
                f"offer no service {asked.service}, which {asked.jobs:,} jobs ask for; they offer {', '.join(known)}",
                path="fleet.kinds",
            )
        fit = offering
        if asked.pool:
            fit = {name: kind for name, kind in fit.items() if asked.pool in kind.pools}
            if not fit:
                raise PlanImpossible(
                    f"leave pool {asked.pool} empty, for which {asked.jobs:,} jobs of service {asked.service} ask by name",
                    path="fleet.kinds",
                )
        most = max(fit.values(), key=lambda kind: kind.disk_gb)
        if asked.largest_bytes > _room(most):
            raise PlanImpossible(
                f"is {most.disk_gb:g}, less than {asked.largest}, a model of {size(asked.largest_bytes)} that jobs of service "
                f"{asked.service} need; no machine that offers it has more",
                path=f"fleet.kinds.{_name_of(most, used)}.disk_gb",
            )
        widest = max(fit.values(), key=lambda kind: kind.vram_gb)
        if asked.vram_mb > widest.vram_gb * 1_000:
            raise PlanImpossible(
                f"is {widest.vram_gb:g}, and jobs of service {asked.service} ask for {asked.vram_mb:,} MB; no machine that offers it has more",
                path=f"fleet.kinds.{_name_of(widest, used)}.vram_gb",
            )


def _room(kind: MachineKind) -> float:
    return kind.disk_gb * _GB


def _name_of(kind: MachineKind, kinds: Mapping[str, MachineKind]) -> str:
    return next(name for name, one in kinds.items() if one is kind)


def _first_twice(names: Collection[object]) -> int | None:
    """The place of the first that was there before."""
    return next(_twice(names), None)


def _twice(names: Collection[object]) -> Iterator[int]:
    seen: set[object] = set()
    for at, name in enumerate(names):
        if name in seen:
            yield at
        seen.add(name)
