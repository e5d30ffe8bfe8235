"""Where a waiting job stands, by a real queue: its position, the time until a machine takes it, and why nobody does."""

from __future__ import annotations

import time

from northstar.broker.queue_places import QueuePlaces
from northstar.domain.models import ModelNeed
from northstar.domain.queue_place import QueuePlace, describe_place
from northstar.domain.requirements import Requirements
from northstar.policy.routing.gpu_pace import NO_PACES, GpuPaces
from northstar.store.messages import Done
from tests.agent.rig import Rig


async def place(rig: Rig, job_id: str) -> QueuePlace | None:
    reply = await rig.cell.inspect([job_id])
    return await QueuePlaces(rig.cell, monotonic=time.monotonic).of(reply.jobs[0], now_ms=reply.now_ms)


async def known(rig: Rig, job_id: str) -> QueuePlace:
    found = await place(rig, job_id)
    assert found is not None
    return found


async def test_positions_are_those_in_which_jobs_are_taken(rig: Rig) -> None:
    await rig.submit("a", "b")
    await rig.submit("urgent", priority=90)
    assert [(await known(rig, job)).position for job in ("urgent", "a", "b")] == [1, 2, 3]
    await rig.cell.reprioritise(["b"], priority=95)
    assert (await known(rig, "b")).position == 1


async def test_a_job_that_no_longer_waits_has_no_place(rig: Rig) -> None:
    link = await rig.joined(slots=1)
    await rig.submit("a")
    await rig.plan()
    assert [job.id for job in (await link.claim(credits_=1)).jobs] == ["a"]
    assert await place(rig, "a") is None


async def test_without_a_machine_it_says_so_and_gives_no_time(rig: Rig) -> None:
    await rig.submit("a")
    assert await known(rig, "a") == QueuePlace(position=1, why="no machine is here")


async def test_the_need_that_no_machine_meets_is_named(rig: Rig) -> None:
    await rig.joined()
    await rig.cell.declare(["tag:eu"], by="test")
    await rig.submit("a", requires=Requirements(tags=("eu",)))
    assert (await known(rig, "a")).why == "no machine fits now: m lacks tags eu"


async def test_a_pause_is_named_with_its_reason(rig: Rig) -> None:
    await rig.cell.pause("pool:standard", because="upkeep", by="test")
    await rig.submit("a")
    assert (await known(rig, "a")).why == "pool standard is paused (upkeep)"


async def test_the_time_follows_from_what_ran_lately_and_is_unknown_before(rig: Rig) -> None:
    link = await rig.joined(slots=1)
    await rig.submit("first", "second", "third", "fourth")
    await rig.plan()
    (job,) = (await link.claim(credits_=1)).jobs
    assert (await known(rig, "third")).why == "no job like it has finished lately"
    began = time.monotonic()
    while time.monotonic() - began < 0.05:  # a run of some length by the server's clock
        await rig.cell.inspect([job.id])
    await link.complete_and_claim([Done(job.id, job.token, "{}")], credits_=1)
    record = await rig.record(job.id)
    run_s = (record.finished_ms - record.started_ms) / 1000
    fourth = await known(rig, "fourth")
    assert (fourth.position, fourth.machines, fourth.why) == (2, 1, "")
    assert fourth.eta_s is not None
    assert abs(fourth.eta_s - 2 * run_s) < 1e-6
    assert fourth.eta_low_s is not None
    assert fourth.eta_high_s is not None
    assert fourth.eta_low_s <= fourth.eta_s <= fourth.eta_high_s + 1e-6


async def test_jobs_of_other_lanes_that_come_first_and_want_the_same_machines_count(rig: Rig) -> None:
    await rig.joined(slots=1)
    await rig.cell.declare(["model:sdxl"], by="test")
    await rig.cell.pause("cell", because="test", by="test")
    await rig.submit("x", "y", requires=Requirements(models=(ModelNeed(name="sdxl"),)), priority=60)
    await rig.submit("a")
    found = await known(rig, "a")
    assert (found.position, found.ahead_elsewhere) == (1, 2)
    assert describe_place(found).startswith("queued (position 1, 2 ahead that ask for something else, time unknown")


async def test_places_go_by_what_gpus_are_known_to_do_when_they_are_asked_for(rig: Rig) -> None:
    known = [NO_PACES, GpuPaces({"l4": 4.0, "h100": 1.0})]
    places = QueuePlaces(rig.cell, monotonic=time.monotonic, paces=lambda: known[0])
    assert places.paces is known[0]
    known.pop(0)
    assert places.paces is known[0]
