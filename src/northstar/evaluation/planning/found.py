"""What a plan comes to, as tables and programs have it. Dollars are of an hour; shares are of jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """A goal, and what a fleet reached of it: the least of all seeds."""

    goal: str
    #: Pools in which the jobs were wanted, with `+` between; empty: any.
    pools: str
    #: Jobs that were judged, with the seed that reached the least.
    jobs: int
    #: Those that met it; null: there was none to meet it.
    share: float | None
    met: bool


class PartPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the fleet."""

    part: str
    #: Pools that it serves; empty: pools are switched off.
    pools: tuple[str, ...]
    machines: int
    #: What its machines are called, and are.
    machine: str
    gpu: str
    vram_gb: float
    disk_gb: float
    region: str
    usd_per_hour: float
    goals: tuple[Reached, ...]
    #: Busy by paid seconds of slots, of the whole simulation with the first seed; null: not known.
    utilisation: float | None
    #: What one machine fewer would cost, or why the goals are not met.
    limit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether all of its goals are."""
        return all(goal.met for goal in self.goals)


class FleetFound(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet, and whether it is good enough."""

    policy: str
    parts: tuple[PartPlan, ...]
    usd_per_hour: float
    is_met: bool
    #: Whether the search for it came to its end; else its trials were used up.
    is_whole: bool
    seeds: tuple[int, ...]


def put_together(fleets: Sequence[FleetFound]) -> FleetFound:
    """Fleets that have nothing to do with each other, such as those of several regions, as one."""
    return FleetFound(
        policy=fleets[0].policy,
        parts=tuple(part for fleet in fleets for part in fleet.parts),
        usd_per_hour=round(sum(fleet.usd_per_hour for fleet in fleets), 6),
        is_met=all(fleet.is_met for fleet in fleets),
        is_whole=all(fleet.is_whole for fleet in fleets),
        seeds=fleets[0].seeds,
    )


def saving(fleet: FleetFound, uniform: FleetFound | None) -> float | None:
    """The part of the uniform fleet's dollars that a fleet saves; None: one of them does not meet the goals, or costs nothing."""
    if uniform is None or not (fleet.is_met and uniform.is_met) or not uniform.usd_per_hour:
        return None
    return 1 - fleet.usd_per_hour / uniform.usd_per_hour


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan."""

    goals: tuple[str, ...]
    #: So many times as many users as the workload has.
    load: float
    jobs: int
    #: Of these, those within the window that is judged.
    judged_jobs: int
    #: Pools that have no part, since none of the machines may enter them, and how many jobs were wanted there; they count where they ran.
    unserved: dict[str, int]
    fleet: FleetFound
    #: The uniform fleet; null: nobody asked for it.
    uniform: FleetFound | None
    #: The part of the uniform fleet's dollars that is saved; null: one of them does not meet the goals, or costs nothing.
    saving: float | None
    #: Simulations that were made now, and that were known from before.
    simulations: int
    remembered: int


def one_plan(plans: Sequence[Plan]) -> Plan:
    """The plans of several regions as one."""
    if len(plans) == 1:
        return plans[0]
    fleet = put_together([plan.fleet for plan in plans])
    uniforms = [plan.uniform for plan in plans if plan.uniform is not None]
    uniform = put_together(uniforms) if uniforms else None
    unserved: Counter[str] = Counter()
    for plan in plans:
        unserved.update(plan.unserved)
    return Plan(
        goals=plans[0].goals,
        load=plans[0].load,
        jobs=sum(plan.jobs for plan in plans),
        judged_jobs=sum(plan.judged_jobs for plan in plans),
        unserved=dict(unserved),
        fleet=fleet,
        uniform=uniform,
        saving=saving(fleet, uniform),
        simulations=sum(plan.simulations for plan in plans),
        remembered=sum(plan.remembered for plan in plans),
    )
