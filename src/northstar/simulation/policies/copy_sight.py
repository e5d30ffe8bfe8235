"""What ModelMesh's rules see of a cell: machines as instances with their models, sizes, and when each was used last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.policy.baselines.copy_placement import Instance, PlacementRule
from northstar.policy.baselines.copy_rules import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.policy.routing.snapshot import CellSnapshot, MachineState


class CopySight:
    """Of one run; bounded by the models that machines hold. Sizes of models that no lane asks for are not told, and count as nothing."""

    def __init__(self, rule: PlacementRule) -> None:
        self._rule = rule
        self._sizes: dict[str, int] = {}
        self._used_ms: dict[tuple[str, str], int] = {}

    def note(self, snapshot: CellSnapshot) -> None:
        """Sizes, and when each machine used each model: when it came, and as long as it is in memory and the machine works."""
        for lane in snapshot.lanes.values():
            self._sizes.update(lane.anchors)
        for machine in snapshot.machines.values():
            for name, state in machine.held.items():
                key = (machine.id, name)
                if key not in self._used_ms or (state == "resident" and machine.used):
                    self._used_ms[key] = snapshot.now_ms
        gone = [
            key
            for key in self._used_ms
            if key[0] not in snapshot.machines or key[1] not in snapshot.machines[key[0]].held
        ]
        for key in gone:
            del self._used_ms[key]

    def instance(self, machine: MachineState, snapshot: CellSnapshot) -> Instance:
        """A machine as one."""
        uses = [self._used_ms.get((machine.id, name), snapshot.now_ms) for name in machine.held]
        return Instance(
            id=machine.id,
            capacity_bytes=machine.description.disk_bytes,
            used_bytes=sum(self._sizes.get(name, 0) for name in machine.held),
            models=len(machine.held),
            oldest_ms=min(uses, default=None),
            loads=len(machine.fetching),
        )

    def cluster(self, machines: Iterable[MachineState], snapshot: CellSnapshot) -> Cluster:
        """Machines together."""
        instances = [self.instance(machine, snapshot) for machine in machines]
        rule = self._rule
        return Cluster(
            capacity_bytes=sum(one.capacity_bytes for one in instances),
            free_bytes=sum(one.room_bytes for one in instances if not one.is_full(rule)),
            oldest_ms=min((one.oldest_ms for one in instances if one.oldest_ms is not None), default=snapshot.now_ms),
            instances=len(instances),
        )
