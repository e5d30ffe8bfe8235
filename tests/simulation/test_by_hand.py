"""Fleets so small that every moment can be reckoned by hand, and is the one that the simulation gives."""

from __future__ import annotations

import math

from northstar.simulation.inputs import Fault, FileOnDisk
from northstar.simulation.settings import SimulationSettings
from tests.simulation.rig import FETCH_MS, GB, LOAD_MS, in_order, job, life, machine, model, simulated

A, B = model("a.safetensors"), model("b.safetensors")


async def test_two_jobs_on_one_machine_wait_for_fetch_load_and_each_other() -> None:
    found = await simulated([job(0, A), job(1, A)], [machine("m1")])

    first, second = in_order(found)
    assert (first.taken_ms, first.began_ms, first.ended_ms) == (0, FETCH_MS + LOAD_MS, FETCH_MS + LOAD_MS + 10_000)
    assert (first.fetched_bytes, first.is_cold) == (GB, True)
    # The second finds its model in memory.
    assert (second.taken_ms, second.began_ms, second.ended_ms) == (first.ended_ms, first.ended_ms, 29_125)
    assert (second.waited_s, second.fetched_bytes, second.is_cold) == (18.125, 0, False)
    outcome = found.outcome
    assert (outcome.fetches, outcome.redundant, outcome.endings) == (1, 0, {"succeeded": 2})
    assert outcome.ended_ms == second.ended_ms


async def test_a_machine_is_busy_while_it_has_a_job_and_paid_for_while_it_is_there() -> None:
    found = await simulated([job(0, A), job(100, A)], [machine("m1", pools=("fast-lane",), price_usd_per_hour=3.6)])

    use = found.outcome.pools["fast-lane"]
    assert use.busy_s == 19.125 + 10.0
    assert use.paid_s == 110.0
    assert use.cost_usd == 0.11


async def test_files_of_one_job_share_the_line() -> None:
    found = await simulated([job(0, A, B)], [machine("m1", slots=2)])

    (only,) = found.outcome.jobs
    assert only.began_ms == 500 + 16_000 + 2 * LOAD_MS
    assert only.fetched_bytes == 2 * GB


async def test_no_more_fetches_run_at_a_time_than_the_settings_say() -> None:
    found = await simulated([job(0, A, B)], [machine("m1")], settings=SimulationSettings(parallel_fetches=1))

    (only,) = found.outcome.jobs
    assert only.began_ms == 2 * FETCH_MS + 2 * LOAD_MS


async def test_what_a_full_disk_drops_is_fetched_again_and_counts_as_redundant() -> None:
    fleet = [machine("m1", disk_bytes=GB)]

    found = await simulated([job(0, A), job(100, B), job(200, A)], fleet)

    # What an engine has loaded stays in its memory, whatever becomes of the file.
    assert [one.waited_s for one in in_order(found)] == [9.125, 9.125, 8.5]
    assert (found.outcome.fetches, found.outcome.fetched_bytes) == (3, 3 * GB)
    assert (found.outcome.redundant, found.outcome.redundant_bytes) == (1, GB)
    assert [one.redundant_bytes for one in in_order(found)] == [0, 0, GB]


async def test_what_lies_on_the_disk_or_in_the_image_is_only_loaded() -> None:
    baked = FileOnDisk(name="a.safetensors", size_bytes=GB, baked=True)
    kept = FileOnDisk(name="b.safetensors", size_bytes=GB)

    found = await simulated([job(0, A), job(100, B)], [machine("m1", disk=(baked, kept))])

    assert [one.waited_s for one in in_order(found)] == [LOAD_MS / 1000] * 2
    assert found.outcome.fetches == 0


async def test_slots_run_side_by_side_and_load_one_after_the_other() -> None:
    disk = tuple(FileOnDisk(name=one.name, size_bytes=GB) for one in (A, B))

    found = await simulated([job(0, A), job(0, B)], [machine("m1", slots=2, disk=disk)])

    assert [one.began_ms for one in in_order(found)] == [LOAD_MS, 2 * LOAD_MS]


async def test_memory_too_small_for_two_models_loads_each_anew() -> None:
    disk = tuple(FileOnDisk(name=one.name, size_bytes=GB) for one in (A, B))
    fleet = [machine("m1", vram_mb=1_500, disk=disk)]

    found = await simulated([job(0, A), job(100, B), job(200, A)], fleet)

    assert [one.waited_s for one in in_order(found)] == [LOAD_MS / 1000] * 3


async def test_a_job_waits_for_a_machine_that_comes_boots_and_registers() -> None:
    found = await simulated([job(0)], [machine("m1", lives=(life(30, boots_ms=60_000),))])

    (only,) = found.outcome.jobs
    assert (only.taken_ms, only.ended_ms) == (90_000, 100_000)
    assert {use.paid_s for use in found.outcome.pools.values()} == {70.0 / 4}


async def test_a_slow_line_takes_as_much_longer_as_it_is_slow() -> None:
    # 8 s of fetch, of which the second half comes at half the rate.
    slow = Fault(at_ms=4_500, machine="m1", kind="link", for_ms=60_000, factor=0.5)

    found = await simulated([job(0, A)], [machine("m1")], faults=[slow])

    assert found.outcome.jobs[0].began_ms == 500 + 4_000 + 8_000 + LOAD_MS


async def test_a_download_that_is_spoilt_comes_twice() -> None:
    spoilt = Fault(at_ms=1, machine="m1", kind="corrupt")

    found = await simulated([job(0, A)], [machine("m1")], faults=[spoilt])

    assert found.outcome.jobs[0].began_ms == 2 * FETCH_MS + LOAD_MS
    assert (found.outcome.fetches, found.outcome.redundant) == (2, 1)


async def test_work_that_was_not_begun_in_time_expires_when_its_time_is_over() -> None:
    found = await simulated([job(0, run_s=60.0), job(1, start_within_s=20.0)], [machine("m1")])

    _, late = in_order(found)
    assert (late.ending, late.ended_ms, late.code) == ("expired", 21_000, "NS_NOT_STARTED_IN_TIME")


async def test_work_that_fails_is_tried_again_as_often_as_its_rule_allows() -> None:
    found = await simulated([job(0, fails=True)], [machine("m1")])

    (only,) = found.outcome.jobs
    assert (only.ending, only.claims) == ("failed", 3)
    assert only.code == "NS_ENGINE_FAILED"


async def test_jobs_that_no_machine_is_left_for_are_told_as_waiting_and_the_simulation_ends() -> None:
    found = await simulated([job(0), job(100)], [machine("m1", lives=(life(0, 50),))])

    assert [one.ending for one in in_order(found)] == ["succeeded", "waiting"]


async def test_a_job_whose_models_never_come_has_never_begun() -> None:
    # Room for one of the two, and the first is in use for longer than the second is tried.
    fleet = [machine("m1", slots=2, disk_bytes=int(1.5 * GB))]

    found = await simulated([job(0, A, run_s=3_000.0), job(20, B)], fleet)

    _, failed = in_order(found)
    assert (failed.ending, failed.code, failed.machine) == ("failed", "NS_MODEL_STORE_FULL", "m1")
    assert (failed.began_ms, failed.ran_s) == (None, 0.0)
    assert failed.waited_s == math.inf


async def test_what_runs_when_the_simulation_ends_has_begun_and_kept_its_machine_busy() -> None:
    settings = SimulationSettings(until_ms=5_000)

    found = await simulated([job(1, run_s=60.0)], [machine("m1", pools=("fast-lane",))], settings=settings)

    (only,) = found.outcome.jobs
    assert (only.ending, only.machine, only.began_ms, only.left_ms) == ("running", "m1", 1_000, 5_000)
    assert found.outcome.pools["fast-lane"].busy_s == 4.0


async def test_what_is_still_fetched_or_loaded_when_the_simulation_ends_has_not_begun() -> None:
    settings = SimulationSettings(until_ms=FETCH_MS + LOAD_MS - 1)

    found = await simulated([job(0, A)], [machine("m1")], settings=settings)

    (only,) = found.outcome.jobs
    assert (only.ending, only.began_ms) == ("running", None)


async def test_a_line_with_two_faults_is_as_slow_as_both_make_it_until_both_are_over() -> None:
    # 4 s of the fetch are left: 1 s of it comes in 4 s at a quarter, and the rest at half the rate.
    both = [
        Fault(at_ms=4_500, machine="m1", kind="link", for_ms=60_000, factor=0.5),
        Fault(at_ms=4_500, machine="m1", kind="link", for_ms=4_000, factor=0.5),
    ]

    found = await simulated([job(0, A)], [machine("m1")], faults=both)

    assert found.outcome.jobs[0].began_ms == 4_500 + 4_000 + 6_000 + LOAD_MS


async def test_a_line_is_slow_after_a_reboot_too() -> None:
    slow = Fault(at_ms=1_000, machine="m1", kind="link", for_ms=60_000, factor=0.5)

    found = await simulated([job(20, A)], [machine("m1", lives=(life(0, 5), life(10)))], faults=[slow])

    assert found.outcome.jobs[0].began_ms == 20_000 + 500 + 16_000 + LOAD_MS
