"""Groups that follow their queue, by hand: looked at every 30 s, asked for at once, given up slowly and only when idle."""

from __future__ import annotations

import msgspec
import pytest

from northstar.domain.requirements import Requirements
from northstar.policy.baselines.fleet_size import QueueRule
from northstar.simulation.errors import FleetInvalid
from northstar.simulation.inputs import ServerRestart, SimulatedMachine
from northstar.simulation.outcome import Span
from northstar.simulation.scaling import ScaledGroup
from tests.simulation.rig import in_order, job, life, machine, simulated

RULE = QueueRule(jobs_per_machine=1.0)


def follower(name: str) -> SimulatedMachine:
    return machine(name, pools=("fast-lane",), price_usd_per_hour=3.6, lives=())


def group(*names: str, rule: QueueRule = RULE, boot_s: int = 0) -> ScaledGroup:
    return ScaledGroup(machines=names, rule=rule, boots_ms=lambda _machine, _asked: boot_s * 1_000)


async def test_a_machine_is_asked_for_when_a_job_waits_and_goes_when_none_was_there_for_the_cool_down() -> None:
    found = await simulated(
        [job(10, run_s=20.0), job(1_000, run_s=20.0)], [follower("m1")], scaling=[group("m1", boot_s=60)]
    )

    first, second = in_order(found)
    # Seen at 30 s, booted at 90 s; gone at the first look more than 300 s after the last one that saw the job, at 90 s.
    assert (first.taken_ms, first.ended_ms) == (90_000, 110_000)
    assert (second.taken_ms, second.ended_ms) == (1_080_000, 1_100_000)
    assert found.outcome.scaled == (Span("m1", 30_000, 420_000), Span("m1", 1_020_000, 1_100_000))
    use = found.outcome.pools["fast-lane"]
    assert (use.paid_s, use.busy_s, use.cost_usd) == (390.0 + 80.0, 40.0, 0.47)
    assert found.outcome.machines_lost == 0


async def test_an_idle_machine_goes_before_a_busy_one_whichever_came_last() -> None:
    fleet = [follower("m1"), follower("m2")]
    found = await simulated([job(0, run_s=50.0), job(0, run_s=2_000.0)], fleet, scaling=[group("m1", "m2")])

    # One machine at 30 s, since there was none; the second at 60 s. Both were wanted at 60 s, and 300 s later no more.
    assert [one.machine for one in in_order(found)] == ["m1", "m2"]
    assert found.outcome.scaled == (Span("m1", 30_000, 390_000), Span("m2", 60_000, 2_060_000))


async def test_no_busy_machine_goes_however_many_are_too_many() -> None:
    # Three jobs for one machine each, then one machine for three of them: all three are still at work.
    rule = QueueRule(jobs_per_machine=3.0, settles_ms=0, least=2)
    fleet = [follower("m1"), follower("m2")]
    found = await simulated([job(1, run_s=500.0), job(1, run_s=900.0)], fleet, scaling=[group("m1", "m2", rule=rule)])

    assert [one.claims for one in in_order(found)] == [1, 1]


async def test_a_group_never_has_fewer_than_the_least_nor_more_than_the_most() -> None:
    fleet = [follower(f"m{number}") for number in range(1, 5)]
    rule = QueueRule(jobs_per_machine=1.0, least=1, most=2)
    jobs = [job(40, run_s=100.0) for _ in range(6)]
    found = await simulated(jobs, fleet, scaling=[group("m1", "m2", "m3", "m4", rule=rule)])

    # The machine of the beginning is there at once; the second is asked for at 60 s.
    assert {one.machine for one in found.outcome.scaled} == {"m1", "m2"}
    assert [one.from_ms for one in found.outcome.scaled] == [0, 60_000]
    assert sorted(one.taken_ms for one in found.outcome.jobs)[:2] == [40_000, 60_000]


async def test_a_queue_that_nobody_can_serve_does_not_keep_a_simulation_going() -> None:
    wide = job(0)
    wide = msgspec.structs.replace(
        wide, request=msgspec.structs.replace(wide.request, requires=Requirements(vram_mb=80_000))
    )
    found = await simulated([wide], [follower("m1")], scaling=[group("m1")])

    assert found.outcome.endings == {"waiting": 1}


async def test_while_the_server_is_away_nobody_knows_how_long_the_queue_is() -> None:
    away = ServerRestart(at_ms=20_000, for_ms=50_000)
    found = await simulated([job(10)], [follower("m1")], scaling=[group("m1")], faults=[away])

    assert found.outcome.scaled[0].from_ms == 90_000


@pytest.mark.parametrize(
    ("lives", "names", "why"),
    [
        ((), ("m2",), "machine 'm1' of the simulated fleet has no life and follows no queue"),
        ((life(0),), ("m1", "m2"), "machine 'm1' of the simulated fleet follows its queue and has a life of its own"),
        ((life(0),), ("m2", "m3"), None),
        ((life(0),), ("m3", "m2"), "machine 'm3' of the simulated fleet shall follow the queue and is not there"),
    ],
)
async def test_machines_that_follow_a_queue_have_no_lives_and_others_have(
    lives: tuple[object, ...], names: tuple[str, ...], why: str | None
) -> None:
    fleet = [machine("m1", lives=lives), follower("m2"), *([follower("m3")] if why is None else [])]
    if why is None:
        assert (await simulated([job(0)], fleet, scaling=[group(*names)])).outcome.endings == {"succeeded": 1}
        return
    with pytest.raises(FleetInvalid, match=why):
        await simulated([job(0)], fleet, scaling=[group(*names)])
