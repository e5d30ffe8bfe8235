"""The same inputs give the same bytes, in any process; and what has ended is kept nowhere."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import northstar
from northstar.policy.baselines.fleet_size import QueueRule
from northstar.simulation.engine import Engine, Progress
from northstar.simulation.inputs import AnyFault, Fault, ServerRestart, SimulatedJob, SimulatedMachine
from northstar.simulation.outcome import JobOutcome
from northstar.simulation.policy import NorthStar
from northstar.simulation.scaling import ScaledGroup
from northstar.simulation.settings import SimulationSettings
from northstar.simulation.simulate import Simulated, world_of_its_own
from northstar.telemetry import configure
from tests.simulation.rig import job, life, machine, model, simulated

MODELS = [model(f"base-{number}.safetensors", gb=1 + number / 3) for number in range(8)]
ADAPTERS = [model(f"style-{number}.safetensors", gb=0.1, kind="lora") for number in range(20)]


def a_workload(seed: int = 7, *, jobs: int = 70) -> Iterator[SimulatedJob]:
    """Bursts over many models, with work of all lengths and a little that fails."""
    rng = random.Random(seed)
    at_s = 0.0
    for number in range(jobs):
        at_s += rng.choice((0.0, 0.0, 1.0, 5.0, 20.0))
        needs = [rng.choice(MODELS[: 1 + number % 8]), *rng.sample(ADAPTERS, rng.choice((0, 0, 1, 2)))]
        yield job(
            at_s,
            *needs,
            run_s=rng.choice((1.0, 8.0, 8.0, 40.0)),
            fails=rng.random() < 0.02,
            tenant=rng.choice(("red", "blue")),
            user=f"u{rng.randrange(9)}",
            payload={"steps": rng.choice((20, 30))},
        )


def a_fleet() -> list[SimulatedMachine]:
    """Two that stay, one that is lost, one that comes and goes, one that follows the queue."""
    return [
        machine("m1", disk_bytes=6_000_000_000),
        machine("m2", disk_bytes=6_000_000_000, slots=2, gpu="NVIDIA H100 PCIe"),
        machine("m3", disk_bytes=4_000_000_000, lives=(life(0, 200, ends="lost"),)),
        machine("m4", disk_bytes=6_000_000_000, lives=(life(100, 300), life(400))),
        machine("m5", disk_bytes=6_000_000_000, lives=()),
    ]


FAULTS: list[AnyFault] = [
    Fault(at_ms=50_000, machine="m1", kind="engine", for_ms=20_000),
    Fault(at_ms=120_000, machine="m2", kind="cut_off", for_ms=30_000),
    ServerRestart(at_ms=180_000, for_ms=25_000),
]

SCALING = [ScaledGroup(machines=("m5",), rule=QueueRule(), boots_ms=lambda _machine, asked: 40_000 + asked)]


async def test_another_process_with_another_hash_seed_gives_the_same_bytes() -> None:
    hash_seed = "77" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    theirs = asyncio.create_task(_in_a_process(hash_seed))
    found = await simulated(a_workload(), a_fleet(), faults=FAULTS, scaling=SCALING, seed=1)

    # Whatever befalls the fleet, every job ends in one way.
    assert sorted(one.number for one in found.outcome.jobs) == list(range(1, 71))
    assert sum(found.outcome.endings.values()) == 70
    assert found.outcome.endings["succeeded"] > 60
    assert await theirs == _digest(found)


async def test_what_has_ended_is_kept_neither_by_the_cell_nor_by_the_simulation() -> None:
    settings = SimulationSettings()
    jobs = (job(2 * number, MODELS[number % 3], run_s=1.0) for number in range(250))
    kept: list[list[int]] = []
    heard: list[JobOutcome] = []
    async with world_of_its_own(settings, seed=0) as world:
        keys = world.cell.keys

        def look(_: Progress) -> None:
            kept.append([*world.line.ask([("HLEN", keys["jobs"]), ("XLEN", keys["events"])]), len(world.agenda)])

        engine = Engine(world, [machine("m1"), machine("m2")], NorthStar(), settings, hears=heard.append, progress=look)
        await engine.run(jobs)

    assert sorted(one.number for one in heard) == list(range(1, 251))
    assert len(kept) >= 3
    # What came within the time in which houses are kept and events are read, whatever came before.
    assert max(jobs for jobs, _, _ in kept) < 60
    assert max(events for _, events, _ in kept) < 500
    assert max(entries for _, _, entries in kept) < 60


async def _in_a_process(hash_seed: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from tests.simulation.test_determinism import print_digest; print_digest()",
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": _places()},
        cwd=Path(__file__).parents[2],
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    return told.decode().strip()


def _places() -> str:
    return os.pathsep.join([str(Path(northstar.__file__).parents[1]), str(Path(__file__).parents[2])])


def print_digest() -> None:
    """For the processes of the test above."""
    configure(level="warning")
    sys.stdout.write(_digest(asyncio.run(simulated(a_workload(), a_fleet(), faults=FAULTS, scaling=SCALING, seed=1))))


def _digest(found: Simulated) -> str:
    return hashlib.sha256(found.outcome.encoded()).hexdigest()
