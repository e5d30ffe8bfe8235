"""A whole simulation: a server of its own, a cell on the virtual clock, and the engine until its end."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

from northstar.simulation.at_once import AtOnce
from northstar.simulation.engine import Engine
from northstar.simulation.inputs import ServerRestart
from northstar.simulation.outage import SimulationServer
from northstar.simulation.outcome import Effort, JobOutcome, Outcome
from northstar.simulation.server_line import ServerLine
from northstar.simulation.settings import SimulationSettings
from northstar.simulation.world import World
from northstar.store.cell import Cell
from northstar.store.valkey import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from northstar.simulation.engine import Progress
    from northstar.simulation.inputs import AnyFault, SimulatedJob, SimulatedMachine
    from northstar.simulation.policy import FleetPolicy
    from northstar.simulation.scaling import ScaledGroup
    from northstar.simulation.watching import Watch
    from northstar.store.valkey import ValkeyClient

_CELL = "simulation"


class Simulated(NamedTuple):
    """What came of it, and what it took."""

    outcome: Outcome
    effort: Effort


async def run(
    workload: Iterable[SimulatedJob],
    fleet: Sequence[SimulatedMachine],
    policy: FleetPolicy,
    settings: SimulationSettings | None = None,
    *,
    seed: int = 0,
    faults: Sequence[AnyFault] = (),
    scaling: Sequence[ScaledGroup] = (),
    hears: Callable[[JobOutcome], None] | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    watch: Watch | None = None,
) -> Simulated:
    """Simulate the fleet under this policy. The same arguments give the same outcome, byte for byte on the same platform and C library.

    Args:
        workload: jobs in the order of their times; it is read as they come, and may be as long as it likes.
        fleet: the machines, with their lives.
        policy: who ranks machines and lanes, and chooses what goes from disks.
        settings: how the deployed parts are set; their own defaults where nothing is said.
        seed: of what is random in a run.
        faults: what befalls machines beside the ends of their lives, and the server of their queue.
        scaling: machines of the fleet that follow their queue; they have no lives.
        hears: is told of each job as it ends; without it, all of them are part of the outcome.
        progress: is told now and then how far it is.
        watch: is told of decisions and of what machines hold; None: nobody looks on.

    Raises:
        WorkloadUnsorted, FleetInvalid, BudgetNotSimulated: what is wrong with the input. ValkeyStartFailed and the like: the server.
    """
    settings = settings or SimulationSettings()
    kept: list[JobOutcome] = []
    began_s = time.perf_counter()
    keeps = any(isinstance(fault, ServerRestart) for fault in faults)
    async with world_of_its_own(settings, seed=seed, keeps=keeps) as world:
        engine = Engine(
            world,
            fleet,
            policy,
            settings,
            faults=faults,
            scaling=scaling,
            hears=kept.append if hears is None else hears,
            progress=progress,
            watch=watch,
        )
        await engine.run(workload)
    effort = Effort(
        wall_s=time.perf_counter() - began_s,
        server_s=world.line.waited_s,
        broker_s=engine.broker.elapsed_s,
        calls=world.line.calls,
        plans=engine.broker.plans,
        looks=engine.broker.reader.looks,
    )
    return Simulated(_outcome_of(engine, policy, seed=seed, kept=kept), effort)


@asynccontextmanager
async def world_of_its_own(settings: SimulationSettings, *, seed: int, keeps: bool = False) -> AsyncIterator[World]:
    """A server, which can be restarted where it `keeps`, and an empty cell on the virtual clock. Raises ValkeyStartFailed and the like."""
    async with SimulationServer(keeps=keeps) as server:
        client, line = connect(server.url), ServerLine(server.socket)
        loop = asyncio.get_running_loop()
        loop.set_default_executor(AtOnce())
        try:
            cell = Cell(client, _CELL)
            world = World(cell, line, server, seed=seed)
            await cell.open(settings.limits(), clock="virtual", new_id=world.new_id)
            cell.client = cast("ValkeyClient", line)  # from here on, nothing overlaps
            line.listen(cell.keys.bell("tick"), "tick")
            yield world
        finally:
            loop.set_default_executor(ThreadPoolExecutor())
            line.close()
            await client.aclose()


def _outcome_of(engine: Engine, policy: FleetPolicy, *, seed: int, kept: list[JobOutcome]) -> Outcome:
    ledger, books = engine.ledger, engine.stations.books
    return Outcome(
        policy=policy.name,
        seed=seed,
        submitted=ledger.submitted,
        endings={name: ledger.endings[name] for name in sorted(ledger.endings)},
        ended_ms=engine.world.clock.now_ms,
        fetches=books.fetches,
        fetched_bytes=books.fetched_bytes,
        redundant=books.redundant,
        redundant_bytes=books.redundant_bytes,
        machines_lost=engine.stations.lost,
        pools=ledger.use.pools(),
        apart=books.apart(),
        scaled=tuple(engine.stations.scaled),
        late=tuple(ledger.use.late),
        jobs=tuple(kept),
    )
