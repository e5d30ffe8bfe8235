"""What machines were paid for, and how long they worked: every run counts, also one whose job was then done elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.simulation.outcome import EarlierRun, PoolUse

if TYPE_CHECKING:
    from northstar.simulation.inputs import SimulatedMachine
    from northstar.simulation.run import Run


class FleetUse:
    """Of one simulation, by pool: a machine that serves several counts for each in equal parts."""

    def __init__(self) -> None:
        self._busy_ms: dict[str, float] = {}
        self._paid_ms: dict[str, float] = {}
        self._cost_usd: dict[str, float] = {}
        #: What runs did after their job was told; as few as machines that were cut off and came back.
        self.late: list[EarlierRun] = []

    def ran(self, run: Run, machine: SimulatedMachine, *, until_ms: int) -> None:
        """A machine is done with a run, one way or the other."""
        part_ms = (until_ms - run.taken_ms) / len(machine.pools)
        for pool in machine.pools:
            self._busy_ms[pool] = self._busy_ms.get(pool, 0.0) + part_ms

    def ran_on(self, run: Run, machine: SimulatedMachine, *, until_ms: int) -> None:
        """It went on when its job had been told, and was for nothing since."""
        if run.told_ms is not None and until_ms > run.told_ms:
            self.late.append(EarlierRun(machine.id, run.told_ms, until_ms))

    def paid(self, machine: SimulatedMachine, *, for_ms: int) -> None:
        """A machine was there for so long."""
        for pool in machine.pools:
            part_ms = for_ms / len(machine.pools)
            self._paid_ms[pool] = self._paid_ms.get(pool, 0.0) + part_ms * machine.slots
            cost = part_ms / 3_600_000 * machine.price_usd_per_hour
            self._cost_usd[pool] = self._cost_usd.get(pool, 0.0) + cost

    def pools(self) -> dict[str, PoolUse]:
        """What was paid for, and used."""
        return {
            pool: PoolUse(
                busy_s=round(self._busy_ms.get(pool, 0.0) / 1000, 3),
                paid_s=round(self._paid_ms[pool] / 1000, 3),
                cost_usd=round(self._cost_usd.get(pool, 0.0), 6),
            )
            for pool in sorted(self._paid_ms)
        }
