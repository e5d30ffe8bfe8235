"""Every baseline through the engine, on fleets so small that what it does can be told beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from northstar.domain.jobs import JobRequest
from northstar.domain.models import ModelNeed
from northstar.domain.requirements import Requirements
from northstar.simulation.inputs import SimulatedJob, SimulatedMachine
from northstar.simulation.outcome import JobOutcome, Outcome
from northstar.simulation.policies.copies import ModelCopies
from northstar.simulation.policies.foresight import FarthestUse, Foresight
from northstar.simulation.policies.pressure import ModelPressure
from northstar.simulation.policies.uniform import UniformPull
from northstar.simulation.policy import FleetPolicy, NorthStar
from northstar.simulation.simulate import run

GB = 1_000_000_000
#: 1 GB comes in .5 + 8 s, and loads in .625 s.
FETCH_MS = 8_500
LOAD_MS = 625


def model(name: str, *, gb: float = 1.0) -> ModelNeed:
    return ModelNeed(
        name=name,
        kind="checkpoint",
        size_bytes=int(gb * GB),
        sources=(f"https://models.example/{name}",),
        sha256="unknown",
    )


A, B, C = (model(f"{name}.safetensors") for name in "abc")


def job(at_s: float, *needs: ModelNeed, run_s: float = 10.0) -> SimulatedJob:
    wanted = JobRequest(service="picture", requires=Requirements(models=needs))
    return SimulatedJob(at_ms=round(at_s * 1_000), request=wanted, run_s={"": run_s})


def machines(count: int, *, disk_gb: float = 100.0) -> list[SimulatedMachine]:
    return [
        SimulatedMachine(
            id=f"m{number}",
            pools=("lightning", "fast-lane", "standard", "heavy"),
            services=("picture",),
            told_bytes_per_s=125e6,
            disk_bytes=int(disk_gb * GB),
        )
        for number in range(1, count + 1)
    ]


async def simulated(jobs: Sequence[SimulatedJob], fleet: Sequence[SimulatedMachine], policy: FleetPolicy) -> Outcome:
    async with asyncio.timeout(60):
        return (await run(jobs, fleet, policy)).outcome


def in_order(outcome: Outcome) -> list[JobOutcome]:
    return sorted(outcome.jobs, key=lambda one: one.number)


def waits_ms(outcome: Outcome) -> list[int]:
    return [round(one.waited_s * 1000) for one in in_order(outcome)]


async def test_uniform_machines_take_the_head_of_the_queue_whatever_they_hold() -> None:
    # m1 and m2 fetch a and b; at 19.125 s both are free, and c waits before another a: whoever has a must take c, or nobody would.
    jobs = [job(0, A), job(0, B), job(1, C), job(1, C), job(2, A), job(2, B)]
    found = await simulated(jobs, machines(2), UniformPull(seed=1))
    assert found.endings == {"succeeded": 6}
    third, fourth = in_order(found)[2:4]
    assert third.taken_ms == fourth.taken_ms == FETCH_MS + LOAD_MS + 10_000
    assert {third.machine, fourth.machine} == {"m1", "m2"}
    # c twice, since nobody waits for its holder.
    assert found.redundant >= 1


async def test_idle_uniform_machines_share_one_models_jobs_where_north_star_keeps_to_the_holder() -> None:
    jobs = [job(60.0 * number, A) for number in range(8)]
    uniform = await simulated(jobs, machines(4), UniformPull(seed=3))
    ours = await simulated(jobs, machines(4), NorthStar())
    assert (ours.fetches, ours.redundant) == (1, 0)
    assert uniform.redundant >= 1
    assert len({one.machine for one in uniform.jobs}) > 1


async def test_the_same_seed_gives_the_same_bytes_and_another_one_other_machines() -> None:
    jobs = [job(45.0 * number, A) for number in range(6)]
    runs = [await simulated(jobs, machines(4), UniformPull(seed=seed)) for seed in (5, 5, 6)]
    assert runs[0].encoded() == runs[1].encoded()
    assert [one.machine for one in in_order(runs[0])] != [one.machine for one in in_order(runs[2])]


async def test_a_uniform_disk_drops_what_was_used_longest_ago_and_foresight_what_is_asked_for_last() -> None:
    # One machine, room for two of a, b, c in turn: LRU fetches all six; Belady fetches a, b, c and one of them again.
    jobs = [job(100.0 * number, one) for number, one in enumerate((A, B, C, A, B, C))]
    lru = await simulated(jobs, machines(1, disk_gb=2.0), UniformPull())
    foresight = Foresight(jobs)
    policy = FarthestUse(UniformPull(), foresight)
    async with asyncio.timeout(60):
        farthest = (await run(foresight.watched(jobs), machines(1, disk_gb=2.0), policy)).outcome
    assert (lru.fetches, lru.redundant) == (6, 3)
    assert (farthest.policy, farthest.fetches, farthest.redundant) == ("uniform-lru-belady", 4, 1)


async def test_under_pressure_a_model_is_loaded_in_one_place_and_later_jobs_find_it_there() -> None:
    jobs = [job(0, A), job(100, A), job(200, A)]
    found = await simulated(jobs, machines(2), ModelPressure())
    assert found.endings == {"succeeded": 3}
    assert (found.fetches, len({one.machine for one in found.jobs})) == (1, 1)
    # A choice between two idle machines is made after more than 1.5 s; who has the model begins at once.
    assert waits_ms(found) == [1_501 + FETCH_MS + LOAD_MS, 0, 0]


async def test_under_pressure_the_only_free_machine_loads_at_once() -> None:
    found = await simulated([job(0, A), job(100, B)], machines(1), ModelPressure())
    assert waits_ms(found) == [FETCH_MS + LOAD_MS, FETCH_MS + LOAD_MS]


async def test_under_pressure_a_busy_machine_takes_one_job_more_and_a_second_machine_loads_for_the_next() -> None:
    # The first job holds its machine until 1.501 + 9.125 + 60 s; the second is queued behind it though the other machine is idle.
    two = [job(0, A, run_s=60.0), job(20, A)]
    found = await simulated(two, machines(2), ModelPressure())
    assert (found.fetches, waits_ms(found)[1]) == (1, 70_626 - 20_000)
    # A third one makes pressure, and the only free machine loads at once.
    found = await simulated([*two, job(21, A)], machines(2), ModelPressure())
    assert (found.fetches, found.redundant) == (2, 1)
    # Where machines take no job beyond those that they run, the second does so with the next plan, .8 s later at most.
    found = await simulated(two, machines(2), ModelPressure(over_queue=0))
    assert found.fetches == 2
    assert FETCH_MS + LOAD_MS <= waits_ms(found)[1] <= 800 + FETCH_MS + LOAD_MS


async def test_a_model_of_modelmesh_has_one_copy_and_its_jobs_wait_for_it() -> None:
    # The second job comes while the only copy is busy, and waits for it: a second copy is not worth it yet.
    found = await simulated([job(0, A, run_s=60.0), job(20, A), job(300, A)], machines(2), ModelCopies())
    assert found.endings == {"succeeded": 3}
    assert (found.fetches, len({one.machine for one in found.jobs})) == (1, 1)
    assert waits_ms(found) == [FETCH_MS + LOAD_MS, FETCH_MS + LOAD_MS + 60_000 - 20_000, 0]


async def test_regular_use_gets_a_second_copy() -> None:
    # Uses 10 min apart are regular: when two jobs come at once, the second goes to the second copy and fetches it.
    jobs = [job(600.0 * number, A) for number in range(4)] + [job(1_802, A), job(2_400, A), job(2_400, A)]
    found = await simulated(jobs, machines(2), ModelCopies())
    assert found.endings == {"succeeded": 7}
    assert (found.fetches, found.redundant) == (2, 1)


async def test_models_of_modelmesh_spread_over_empty_machines() -> None:
    # Empty machines are about as good as each other, and the lot decides: of nine models each of three machines gets some.
    jobs = [job(100.0 * number, model(f"{number}.safetensors")) for number in range(9)]
    found = await simulated(jobs, machines(3), ModelCopies())
    assert (found.fetches, found.redundant) == (9, 0)
    assert len({one.machine for one in found.jobs}) == 3
