"""What routing promises holds in a simulation because it is the same routing: warm machines first, and patience for them, not for ever."""

from __future__ import annotations

from northstar.simulation.inputs import FileOnDisk
from tests.simulation.rig import GB, in_order, job, machine, model, simulated

A = model("a.safetensors")
ON_DISK = (FileOnDisk(name="a.safetensors", size_bytes=GB),)


async def test_the_machine_that_holds_the_model_is_preferred() -> None:
    fleet = [machine("m1"), machine("m2", disk=ON_DISK), machine("m3")]

    found = await simulated([job(10, A), job(60, A)], fleet)

    assert [one.machine for one in in_order(found)] == ["m2", "m2"]
    assert found.outcome.fetches == 0


async def test_a_job_waits_for_the_holder_when_that_is_sooner_than_a_fetch() -> None:
    fleet = [machine("m1", disk=ON_DISK), machine("m2")]

    # The holder is free after 3 s; the other one would begin after 9.1 s.
    found = await simulated([job(10, A, run_s=3.0), job(10.1, A, run_s=3.0)], fleet)

    first, second = in_order(found)
    assert (second.machine, second.began_ms) == ("m1", first.ended_ms)
    assert found.outcome.fetches == 0


async def test_a_job_is_not_kept_for_a_holder_that_is_busy_for_longer_than_the_fetch_would_take() -> None:
    fleet = [machine("m1", disk=ON_DISK), machine("m2")]

    found = await simulated([job(10, A, run_s=120.0, expected_s=120.0), job(20, A, expected_s=120.0)], fleet)

    _, second = in_order(found)
    assert second.machine == "m2"
    assert second.fetched_bytes == GB


async def test_durations_are_learned_from_what_ran() -> None:
    jobs = [job(30 * number, run_s=17.0, user="ada", payload={"model": "x"}) for number in range(30)]

    found = await simulated(jobs, [machine("m1")])

    first, *_, last = in_order(found)
    assert abs(last.expected_s - 17.0) < 2.0 < abs(first.expected_s - 17.0)


async def test_models_are_brought_to_a_machine_that_is_busy_before_their_job_comes_there() -> None:
    wanted = model("b.safetensors")

    found = await simulated([job(0, A, run_s=60.0), job(20, wanted)], [machine("m1")])

    first, second = in_order(found)
    # Fetched on the broker's order while the first job worked; the second has only to load.
    assert (second.began_ms, second.fetched_bytes) == (first.ended_ms + 625, 0)
    assert found.outcome.fetches == 2


async def test_fetches_spread_over_disks_so_that_what_came_once_is_still_there() -> None:
    """Six models on four disks for two each. By name the first machine alone would fetch, and every model again in the second round."""
    fleet = [machine(f"m{number}", disk_bytes=2 * GB + GB // 2) for number in range(4)]
    jobs = [job(30 * number, model(f"{'abcdef'[number % 6]}.safetensors")) for number in range(18)]

    found = await simulated(jobs, fleet)

    assert found.outcome.fetches == 6
    assert len({one.machine for one in in_order(found)}) > 1
    assert {one.waited_s for one in in_order(found)[6:]} <= {0.0, 0.625}
