"""Where models are brought to that no machine of a pool holds yet (spec, flowchart: "Trigger Model Deployment")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.models import ModelNeed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.policy.routing.snapshot import CellSnapshot, MachineState


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """Models that a machine shall have before the job comes to it."""

    machine: str
    needs: tuple[ModelNeed, ...]


def deployment(ranked: Sequence[str], needs: Sequence[ModelNeed], snapshot: CellSnapshot) -> Deployment | None:
    """What to order for a job with these needs; `ranked` are the machines that fit it, the one that has it done first before the others.

    Nothing where a machine is free: it takes the job at once and fetches by itself. Nothing where one of the models is on its way to one of
    these machines: the same need is not fetched twice. Else the first machine fetches while its slots are still busy. Those that take no
    work at present are passed over, and so are those that keep no models.
    """
    there = (snapshot.machines.get(name) for name in ranked)
    machines = [machine for machine in there if machine is not None and machine.takes_work]
    wanted = [need for need in needs if need.sources]
    if not machines or not wanted or any(_is_free(machine) for machine in machines):
        return None
    if any(need.name in machine.fetching for need in wanted for machine in machines):
        return None
    first = next((machine for machine in machines if machine.description.keeps_models), None)
    if first is None:
        return None
    missing = tuple(need for need in wanted if need.name not in first.held)
    return Deployment(machine=first.id, needs=missing) if missing else None


def _is_free(machine: MachineState) -> bool:
    return machine.parked and machine.used < machine.slots
