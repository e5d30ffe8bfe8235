"""Groups of a fleet that follow their queue, as the engine takes them."""

from __future__ import annotations

from northstar.policy.baselines.fleet_size import QueueRule
from northstar.simulation.fleet.plan import MachineGroup
from northstar.simulation.fleet.stays import machine_name
from northstar.simulation.scaling import ScaledGroup
from northstar.simulation.workload.draws import Draws


def scaled_group(group: MachineGroup, *, seed: int) -> ScaledGroup | None:
    """Its machines and its rule; None: it has as many machines as it counts.

    Boots are drawn by the seed, the group's name, the machine and how often that was asked for, and by nothing else.
    """
    plan, law = group.scaling, group.boot
    if plan is None:
        return None

    def boots_ms(machine: str, asked: int) -> int:
        return 0 if law is None else law.draw_ms(Draws(seed, "scaled", group.name, machine, str(asked)))

    return ScaledGroup(
        machines=tuple(machine_name(group, number) for number in range(group.count)),
        rule=QueueRule(
            jobs_per_machine=plan.jobs_per_machine,
            least=plan.least,
            most=group.count,
            cool_down_ms=plan.cool_down.ms,
            settles_ms=plan.settles.ms,
        ),
        every_ms=plan.every.ms,
        boots_ms=boots_ms,
        begins_ready=group.begins_ready,
    )
