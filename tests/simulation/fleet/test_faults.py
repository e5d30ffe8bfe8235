"""Faults by name: each befalls the machines that it is said to befall, when it is said to, and means one thing for the engine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from northstar.simulation.fleet.errors import PlanImpossible
from northstar.simulation.fleet.faults import FaultPlan
from northstar.simulation.fleet.laws import Fixed
from northstar.simulation.fleet.lengths import Length, length_hook
from northstar.simulation.fleet.plan import FleetPlan, MachineGroup, MachineKind, ScalingPlan
from northstar.simulation.fleet.timeline import Timeline, timeline
from northstar.simulation.inputs import AnyFault, Fault, ServerRestart

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
KIND = MachineKind(gpu="L4", vram_gb=24, pools=("fast-lane",), services=("pictures",))


def fault(name: str, **keys: Any) -> FaultPlan:
    found: FaultPlan = msgspec.convert({"fault": name, **keys}, FaultPlan, dec_hook=length_hook)
    return found


def befallen(*faults: FaultPlan, count: int = 2, seed: int = 1, end: str = "10h", **group: Any) -> Timeline:
    groups = (
        MachineGroup(name="day", kind="l4", count=count, region="us", **group),
        MachineGroup(name="night", kind="l4", count=1, region="eu", **group),
    )
    plan = FleetPlan(kinds={"l4": KIND}, groups=groups)
    return timeline(plan, faults, seed=seed, end_ms=Length.of(end).ms, folder=Path())


def test_machine_loss_ends_a_stay_without_a_word_and_another_machine_comes() -> None:
    found = befallen(fault("machine_loss", at=["2h"], group="night"), boot=Fixed(length=Length.of("1h")))
    assert [(one.machine, one.from_ms // HOUR_MS, one.ready_ms // HOUR_MS, one.reason) for one in found.stays[2:]] == [
        ("night-1", 0, 0, "machine_loss"),
        ("night-1.2", 2, 3, None),
    ]
    lost = next(machine for machine in found.machines if machine.id == "night-1")
    assert (lost.lives[0].until_ms, lost.lives[0].ends) == (2 * HOUR_MS, "lost")
    assert found.faults == (), "the engine sees it as the end of a life"


def test_a_loss_comes_without_notice_even_where_the_provider_gives_one() -> None:
    found = befallen(fault("machine_loss", at=["2h"], group="night"), notice=Length.of("2m"))
    assert [life.ends for life in found.machines[2].lives] == ["lost"]


def of_machines(faults: Iterable[AnyFault]) -> list[Fault]:
    return [one for one in faults if isinstance(one, Fault)]


@pytest.mark.parametrize(
    ("name", "keys", "means"),
    [
        ("slow_link", {"for": "30m", "factor": 0.1}, {"kind": "link", "for_ms": 30 * MINUTE_MS, "factor": 0.1}),
        ("corrupt_download", {}, {"kind": "corrupt"}),
        ("engine_death", {"for": "1m"}, {"kind": "engine", "for_ms": MINUTE_MS}),
        ("partition", {"for": "2m"}, {"kind": "cut_off", "for_ms": 2 * MINUTE_MS}),
    ],
)
def test_a_fault_means_one_thing_for_the_engine(name: str, keys: dict[str, Any], means: dict[str, Any]) -> None:
    found = befallen(fault(name, at=["1h", "3h"], region="eu", **keys))
    assert found.faults == (
        Fault(at_ms=HOUR_MS, machine="night-1", **means),
        Fault(at_ms=3 * HOUR_MS, machine="night-1", **means),
    )


def test_every_possible_fault_is_tested_here() -> None:
    names = {kind.__struct_config__.tag for kind in get_args(FaultPlan)}
    assert names == {"machine_loss", "slow_link", "corrupt_download", "engine_death", "partition", "valkey_restart"}


def test_a_fault_befalls_all_machines_unless_some_are_named() -> None:
    befell = befallen(fault("corrupt_download", at=["1h"])).faults
    assert {one.machine for one in of_machines(befell)} == {
        "day-1",
        "day-2",
        "night-1",
    }


def test_machines_that_follow_their_queue_are_left_alone() -> None:
    steady, follows = (
        MachineGroup(name=name, kind="l4", count=1, scaling=scaling)
        for name, scaling in (("steady", None), ("follows", ScalingPlan()))
    )
    anybody = fault("corrupt_download", at=["1h"])

    def faults_of(*groups: MachineGroup, befall: FaultPlan = anybody) -> list[str]:
        plan = FleetPlan(kinds={"l4": KIND}, groups=groups)
        found = timeline(plan, (befall,), seed=1, end_ms=2 * HOUR_MS, folder=Path())
        return [one.machine for one in of_machines(found.faults)]

    assert faults_of(steady, follows) == ["steady-1"]
    with pytest.raises(PlanImpossible, match="is follows, which follows its queue") as refused:
        faults_of(steady, follows, befall=fault("corrupt_download", at=["1h"], group="follows"))
    assert refused.value.path == "faults[0].group"
    with pytest.raises(PlanImpossible, match="befalls nobody: every group follows its queue"):
        faults_of(follows)


def test_so_many_machines_are_drawn_by_the_seed_anew_for_each_moment() -> None:
    some = fault("corrupt_download", at=["1h", "2h", "3h", "4h", "5h"], group="day", machines=3)
    found = befallen(some, count=50).faults
    by_moment = {at: {one.machine for one in of_machines(found) if one.at_ms == at * HOUR_MS} for at in range(1, 6)}
    assert [len(its) for its in by_moment.values()] == [3] * 5
    assert len({frozenset(its) for its in by_moment.values()}) == 5
    assert befallen(some, count=50).faults == found != befallen(some, count=50, seed=2).faults


def test_a_rate_is_the_mean_time_between_two_for_each_machine() -> None:
    found = befallen(fault("engine_death", every="1h", **{"for": "1m"}), count=99, end="100h").faults
    assert len(found) == pytest.approx(100 * 100, rel=0.05)
    assert list(found) == sorted(found, key=lambda one: one.at_ms)


def test_whom_a_rate_befalls_when_does_not_depend_on_how_many_there_are() -> None:
    rate = fault("corrupt_download", every="2h", group="day")
    few, many = (befallen(rate, count=count).faults for count in (20, 30))
    assert [one for one in of_machines(many) if one.machine <= "day-20"] == list(few)


def test_what_falls_where_no_machine_is_ready_is_counted_as_missed() -> None:
    found = befallen(fault("corrupt_download", at=["30m"]), joins=Length.of("1h"))
    assert (found.faults, found.missed) == ((), 3)
    lost = befallen(fault("machine_loss", at=["30m", "90m"], group="night"), joins=Length.of("1h"))
    assert lost.missed == 1


def test_what_befalls_a_seat_befalls_whoever_sits_there() -> None:
    found = befallen(
        fault("corrupt_download", at=["5h"], group="night"), fault("machine_loss", at=["4h"], group="night")
    )
    assert [one.machine for one in of_machines(found.faults)] == ["night-1.2"]


def test_a_restart_of_valkey_befalls_the_server_whatever_machines_there_are() -> None:
    found = befallen(fault("valkey_restart", at=["1h", "2h"], **{"for": "20s"}), fault("corrupt_download", at=["1h"]))
    restarts = [one for one in found.faults if isinstance(one, ServerRestart)]
    assert [(one.at_ms, one.for_ms) for one in restarts] == [(3_600_000, 20_000), (7_200_000, 20_000)]
    assert len(found.faults) == 2 + 3
    often = [one.at_ms for one in befallen(fault("valkey_restart", every="1h", **{"for": "20s"})).faults]
    assert often == sorted(often)
    assert 2 <= len(often) <= 25


@pytest.mark.parametrize(
    ("name", "keys", "path", "says"),
    [
        ("machine_loss", {}, "faults[0]", "either `at`"),
        ("valkey_restart", {"at": ["1h"], "for": "0s"}, "faults[0].for", "longer than nothing"),
        (
            "valkey_restart",
            {"at": ["1h"], "for": "9s", "group": "day"},
            "faults[0].group",
            "valkey_restart befalls none",
        ),
        (
            "valkey_restart",
            {"at": ["1h"], "for": "9s", "machines": 1},
            "faults[0].machines",
            "valkey_restart befalls none",
        ),
        ("machine_loss", {"at": ["1h"], "every": "1h"}, "faults[0]", "either `at`"),
        ("machine_loss", {"at": ["1h", "11h"]}, "faults[0].at[1]", "after the end of the simulation"),
        ("machine_loss", {"every": "0s"}, "faults[0].every", "more than 100,000 times"),
        ("machine_loss", {"every": "1ms"}, "faults[0].every", "more than 100,000 times"),
        ("machine_loss", {"at": ["1h"], "group": "noon"}, "faults[0].group", "there are day, night"),
        ("machine_loss", {"at": ["1h"], "region": "asia"}, "faults[0].region", "no machine of the fleet stands"),
        ("partition", {"at": ["1h"], "for": "0s"}, "faults[0].for", "longer than nothing"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_at_its_key(name: str, keys: dict[str, Any], path: str, says: str) -> None:
    with pytest.raises(PlanImpossible, match=says) as refused:
        befallen(fault(name, **keys))
    assert refused.value.path == path


@pytest.mark.parametrize("keys", [{"fault": "slow_link", "at": ["1h"], "for": "1h"}, {"fault": "flood"}])
def test_a_fault_without_its_keys_or_of_another_name_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(keys, FaultPlan, dec_hook=length_hook)
