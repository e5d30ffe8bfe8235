"""The server of the queue is restarted in the middle of a simulation: nothing is lost, and everybody bears with it as for real."""

from __future__ import annotations

from northstar.simulation.inputs import Fault, ServerRestart
from northstar.simulation.settings import SimulationSettings
from tests.simulation.rig import in_order, job, life, machine, simulated


def away(from_s: int, for_s: int) -> ServerRestart:
    return ServerRestart(at_ms=from_s * 1_000, for_ms=for_s * 1_000)


async def test_work_goes_on_meanwhile_and_its_result_is_told_when_the_server_is_back() -> None:
    found = await simulated([job(0), job(1)], [machine("m1")], faults=[away(5, 20)])

    first, second = in_order(found)
    assert (first.ending, first.claims, first.began_ms, first.left_ms, first.ended_ms) == (
        "succeeded",
        1,
        0,
        10_000,
        25_000,
    )
    # It waited in the queue all along, and the queue still has it.
    assert (second.claims, second.taken_ms, second.ended_ms) == (1, 25_000, 35_000)


async def test_clients_try_again_until_the_server_is_back_and_no_longer_than_the_sdk_has_patience() -> None:
    fleet = [machine("m1", slots=2)]
    found = await simulated([job(6)], fleet, faults=[away(5, 20)])
    (only,) = found.outcome.jobs
    assert only.submitted_ms == 6_000
    assert 25_000 <= only.taken_ms <= 25_000 + 8_000

    hopeless = await simulated([job(6), job(100)], fleet, faults=[away(5, 90)])
    first, second = in_order(hopeless)
    assert (first.ending, first.code) == ("refused", "NS_VALKEY_GONE")
    assert 6_000 + 52_000 <= first.ended_ms <= 6_000 + 60_000
    assert second.ending == "succeeded"


async def test_a_grace_that_runs_is_longer_by_a_long_gap_and_not_by_a_short_one() -> None:
    """Half a lease of 30 s is 15 s: whoever could renew in less has had his chance."""
    fleet = [machine("m1"), machine("m2", lives=(life(2),))]
    cut = Fault(at_ms=4_000, machine="m1", kind="cut_off", for_ms=600_000)

    for for_s, taken_ms in ((16, 8_000 + 16_000), (10, 5_000 + 10_000)):
        found = await simulated([job(0, run_s=60.0)], fleet, faults=[cut, away(5, for_s)])
        (only,) = found.outcome.jobs
        assert (only.machine, only.taken_ms, only.claims) == ("m2", taken_ms, 2)


async def test_machines_that_come_and_go_meanwhile_are_known_when_it_is_back() -> None:
    fleet = [
        machine("m1", lives=(life(0, 8, ends="lost"),)),
        machine("m2", lives=(life(0, 9),)),
        machine("m3", lives=(life(10),), slots=2),
        machine("m4", lives=(life(6, 9),)),
    ]
    found = await simulated([job(0, run_s=30.0), job(0, run_s=30.0)], fleet, faults=[away(5, 10)])

    assert [one.machine for one in in_order(found)] == ["m3", "m3"]
    # Nobody heard that one left, nor that the other was lost: both count as lost 4 s after the server is there to see it.
    assert [one.taken_ms for one in in_order(found)] == [19_000, 19_000]


async def test_a_restart_within_a_restart_is_none_and_a_simulation_may_end_while_the_server_is_away() -> None:
    within = await simulated([job(0)], [machine("m1")], faults=[away(5, 20), away(10, 3)])
    assert within.outcome.jobs[0].ended_ms == 25_000

    cut_short = await simulated(
        [job(0)], [machine("m1")], settings=SimulationSettings(until_ms=15_000), faults=[away(5, 20)]
    )
    assert [(one.ending, one.began_ms) for one in cut_short.outcome.jobs] == [("running", 0)]
