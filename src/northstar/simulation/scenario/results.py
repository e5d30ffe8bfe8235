"""What came of one run, as files and tables have it; the same run gives the same bytes."""

from __future__ import annotations

import msgspec

from northstar.simulation.fleet.timeline import Timeline
from northstar.simulation.outcome import Outcome, PoolUse
from northstar.simulation.scenario.progress import PoolSummary, Tally


class FaultCount(msgspec.Struct, frozen=True, kw_only=True):
    """Faults that befell a machine, and those that fell where none was just then."""

    befell: int
    missed: int


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """Of one seed and one policy. GB are decimal; fetches and costs are those of the whole run, pools those of the window."""

    #: Jobs that came, and how they ended.
    jobs: int
    endings: dict[str, int]
    #: When the last of them had ended, seconds from the beginning.
    ended_s: float
    #: The window of jobs that `pools` counts, seconds.
    from_s: float
    until_s: float | None
    #: By pool, and at the end all of them.
    pools: tuple[PoolSummary, ...]
    #: Slot seconds and dollars of the machines, by pool.
    use: dict[str, PoolUse]
    #: That came while it lasted.
    machines: int
    machines_lost: int
    fetches: int
    fetched_gb: float
    redundant: int
    redundant_gb: float
    faults: FaultCount

    @property
    def cost_usd(self) -> float:
        """Of all machines whose price is known."""
        return sum(use.cost_usd for use in self.use.values())

    @property
    def utilisation(self) -> float | None:
        """Busy seconds by paid seconds of all slots; None where nothing was paid for."""
        paid = sum(use.paid_s for use in self.use.values())
        return sum(use.busy_s for use in self.use.values()) / paid if paid else None


def result_of(outcome: Outcome, tally: Tally, fleet: Timeline, *, from_ms: int, until_ms: int | None) -> RunResult:
    """Put together what the engine says and what was counted while it ran."""
    losses = sum(stay.reason == "machine_loss" for stay in fleet.stays)
    return RunResult(
        jobs=outcome.submitted,
        endings=outcome.endings,
        ended_s=outcome.ended_ms / 1000,
        from_s=from_ms / 1000,
        until_s=None if until_ms is None else until_ms / 1000,
        pools=tally.pools(),
        use=outcome.pools,
        machines=sum(bool(machine.lives) and machine.lives[0].from_ms <= outcome.ended_ms for machine in fleet.machines)
        + len({span.machine for span in outcome.scaled}),
        machines_lost=outcome.machines_lost,
        fetches=outcome.fetches,
        fetched_gb=round(outcome.fetched_bytes / 1e9, 3),
        redundant=outcome.redundant,
        redundant_gb=round(outcome.redundant_bytes / 1e9, 3),
        faults=FaultCount(befell=len(fleet.faults) + losses, missed=fleet.missed),
    )
