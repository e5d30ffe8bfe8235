"""Machines that are lost, leave, fall silent or whose engines die: what they had runs elsewhere, and counts once."""

from __future__ import annotations

import msgspec

from northstar.domain.jobs import RetryRule
from northstar.simulation.inputs import Fault, FileOnDisk
from northstar.simulation.outcome import EarlierRun, FetchedApart
from northstar.simulation.settings import SimulationSettings
from tests.simulation.rig import FETCH_MS, GB, LOAD_MS, in_order, job, life, machine, model, simulated

A = model("a.safetensors")


async def test_the_job_of_a_lost_machine_runs_on_another_once_it_counts_as_lost() -> None:
    fleet = [machine("m1", lives=(life(0, 5, ends="lost"),)), machine("m2", lives=(life(2),))]

    found = await simulated([job(0)], fleet)

    (only,) = found.outcome.jobs
    assert (only.machine, only.claims, only.ending) == ("m2", 2, "succeeded")
    # The connection broke at 5 s, and whoever held it waits 4 s for the machine to dial again.
    assert (only.taken_ms, only.ended_ms) == (9_000, 19_000)
    assert found.outcome.machines_lost == 1


async def test_a_machine_that_leaves_hands_its_job_back_at_once() -> None:
    fleet = [machine("m1", lives=(life(0, 5),)), machine("m2", lives=(life(2),))]

    found = await simulated([job(0)], fleet)

    (only,) = found.outcome.jobs
    assert (only.machine, only.taken_ms, only.claims) == ("m2", 5_000, 2)
    assert found.outcome.machines_lost == 0


async def test_a_machine_that_drains_finishes_what_it_has_and_takes_no_more() -> None:
    fleet = [machine("m1", lives=(life(0, 20, drains_ms=15_000),)), machine("m2", lives=(life(2, boots_ms=38_000),))]

    found = await simulated([job(0), job(6)], fleet)

    first, second = in_order(found)
    assert (first.machine, first.ended_ms, first.claims) == ("m1", 10_000, 1)
    assert (second.machine, second.taken_ms) == ("m2", 40_000)


async def test_a_disk_that_is_kept_saves_the_fetch_and_one_that_is_not_does_not() -> None:
    def fleet(*, keeps_disk: bool) -> list[object]:
        return [machine("m1", lives=(life(0, 30), life(60, keeps_disk=keeps_disk)))]

    jobs = [job(0, A), job(100, A)]
    kept = await simulated(jobs, fleet(keeps_disk=True))  # type: ignore[arg-type]
    new = await simulated(jobs, fleet(keeps_disk=False))  # type: ignore[arg-type]

    assert in_order(kept)[1].began_ms == 100_000 + LOAD_MS
    assert in_order(new)[1].began_ms == 100_000 + FETCH_MS + LOAD_MS
    assert (kept.outcome.redundant_bytes, new.outcome.redundant_bytes) == (0, GB)


async def test_a_machine_that_is_cut_off_loses_its_job_and_its_late_result_counts_for_nothing() -> None:
    fleet = [machine("m1"), machine("m2", lives=(life(2),))]
    cut = Fault(at_ms=5_000, machine="m1", kind="cut_off", for_ms=60_000)

    found = await simulated([job(0, run_s=20.0), job(80)], fleet, faults=[cut])

    first, second = in_order(found)
    assert (first.machine, first.taken_ms, first.ended_ms) == ("m2", 9_000, 29_000)
    assert found.outcome.endings == {"succeeded": 2}
    assert second.ended_ms == 90_000


async def test_a_short_cut_costs_nothing() -> None:
    cut = Fault(at_ms=5_000, machine="m1", kind="cut_off", for_ms=3_000)

    found = await simulated([job(0, run_s=20.0)], [machine("m1"), machine("m2", lives=(life(2),))], faults=[cut])

    (only,) = found.outcome.jobs
    assert (only.machine, only.claims, only.ended_ms) == ("m1", 1, 20_000)


async def test_work_whose_engine_died_is_tried_again_and_the_machine_rests_meanwhile() -> None:
    death = Fault(at_ms=5_000, machine="m1", kind="engine", for_ms=30_000)

    found = await simulated([job(0, A, run_s=10.0)], [machine("m1")], faults=[death])

    (only,) = found.outcome.jobs
    assert (only.ending, only.claims) == ("succeeded", 2)
    assert only.taken_ms == 35_000


async def test_work_whose_engine_died_while_its_model_was_loaded_has_never_begun() -> None:
    # 10 s of loading, of which the engine lives to see 5.
    disk = (FileOnDisk(name="a.safetensors", size_bytes=GB),)
    fleet = [machine("m1", disk=disk, load_bytes_per_s=1e8)]
    death = Fault(at_ms=5_000, machine="m1", kind="engine", for_ms=30_000)

    found = await simulated([job(0, A, retry=RetryRule(max_attempts=1))], fleet, faults=[death])

    (only,) = found.outcome.jobs
    assert (only.ending, only.machine, only.began_ms, only.left_ms) == ("failed", "m1", None, 5_000)


async def test_bytes_of_a_job_are_those_of_all_its_runs() -> None:
    fleet = [machine("m1", lives=(life(0, 15, ends="lost"),)), machine("m2", lives=(life(16),))]

    found = await simulated([job(0, A)], fleet)

    (only,) = found.outcome.jobs
    assert (only.machine, only.fetched_bytes, only.redundant_bytes) == ("m2", 2 * GB, GB)
    assert only.fetched_bytes == found.outcome.fetched_bytes


async def test_a_late_word_of_a_machine_that_was_cut_off_changes_nothing_about_the_run_that_counts() -> None:
    # m1 is back at 15 s and gives up its run, while m2 has the job since 9 s; the simulation ends on both.
    fleet = [machine("m1", pools=("fast-lane",)), machine("m2", pools=("fast-lane",), lives=(life(2),))]
    cut = Fault(at_ms=5_000, machine="m1", kind="cut_off", for_ms=10_000)

    found = await simulated([job(0, run_s=60.0)], fleet, faults=[cut], settings=SimulationSettings(until_ms=30_000))

    (only,) = found.outcome.jobs
    assert (only.ending, only.machine, only.began_ms) == ("running", "m2", 9_000)
    assert only.earlier == (EarlierRun("m1", 0, 15_000),)
    assert found.outcome.pools["fast-lane"].busy_s == 15.0 + 21.0


async def test_a_machine_that_goes_on_for_nothing_was_busy_too() -> None:
    fleet = [machine("m1"), machine("m2", lives=(life(2),), gpu="NVIDIA H100 PCIe")]
    cut = Fault(at_ms=5_000, machine="m1", kind="cut_off", for_ms=60_000)
    slow_there = msgspec.structs.replace(job(0), run_s={"": 100.0, "h100": 10.0})

    found = await simulated([slow_there, job(70)], fleet, faults=[cut])

    first, _ = in_order(found)
    assert (first.machine, first.ended_ms, first.earlier[0].machine) == ("m2", 19_000, "m1")
    # From 0 s until it was back at 65 s.
    (late,) = found.outcome.late
    assert (late.machine, first.earlier[0].left_ms, late.left_ms) == ("m1", late.taken_ms, 65_000)


async def test_every_byte_came_for_a_job_or_for_none_and_those_are_told_by_the_minute() -> None:
    # The job is lost at 5 s and done elsewhere; its model comes to the machine that is cut off all the same.
    fleet = [machine("m1", link_bytes_per_s=1e7), machine("m2", lives=(life(2),))]
    cut = Fault(at_ms=5_000, machine="m1", kind="cut_off", for_ms=200_000)

    found = await simulated([job(0, A), job(220)], fleet, faults=[cut])

    outcome = found.outcome
    assert outcome.apart == (FetchedApart(1, GB, GB),)
    assert outcome.fetched_bytes == GB + sum(one.fetched_bytes for one in outcome.jobs)
    assert outcome.redundant_bytes == GB + sum(one.redundant_bytes for one in outcome.jobs)
