"""In about how many seconds a waiting job is taken, and why that cannot be said."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.machines import MachineDescription
from northstar.policy.routing.eta import (
    FitSlots,
    RunTimes,
    expected_wait_s,
    fit_slots,
    run_times,
    shared_lanes,
    wait_interval_s,
    why_nobody,
)
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot
from tests.policy.routing.builders import SDXL, cell, lane, machine, profile, wanted

RULE = PatienceRule()
times = st.floats(min_value=0.01, max_value=1e6)


def test_a_free_slot_is_taken_at_once_whatever_a_run_takes() -> None:
    assert expected_wait_s(1, FitSlots(slots=4, free=2), run_s=None) == 0.0


def test_whoever_finds_all_busy_waits_for_one_departure_more_than_there_are_before_it() -> None:
    assert expected_wait_s(0, FitSlots(slots=1), run_s=10.0) == 10.0
    assert expected_wait_s(3, FitSlots(slots=2), run_s=10.0) == 20.0
    assert expected_wait_s(3, FitSlots(slots=4, free=2), run_s=10.0) == 5.0


def test_without_machines_or_without_a_known_time_it_is_unknown_and_no_guess() -> None:
    assert expected_wait_s(0, FitSlots(), run_s=10.0) is None
    assert expected_wait_s(3, FitSlots(slots=2), run_s=None) is None


def test_a_machine_that_holds_back_takes_the_job_when_it_may_unless_a_better_one_is_free_sooner() -> None:
    slots = FitSlots(slots=2, held_back_s=(6.0,))
    assert expected_wait_s(0, slots, run_s=None) == 6.0
    assert expected_wait_s(0, slots, run_s=4.0) == 2.0
    assert expected_wait_s(1, slots, run_s=40.0) == 40.0


@given(st.integers(0, 500), st.integers(1, 50), st.integers(0, 50), times)
def test_it_never_falls_with_the_jobs_before_it_nor_rises_with_slots(
    ahead: int, slots: int, free: int, run_s: float
) -> None:
    now = FitSlots(slots=slots, free=min(free, slots))
    here = expected_wait_s(ahead, now, run_s=run_s)
    behind = expected_wait_s(ahead + 1, now, run_s=run_s)
    roomier = expected_wait_s(ahead, msgspec.structs.replace(now, slots=slots + 1), run_s=run_s)
    assert here is not None
    assert behind is not None
    assert roomier is not None
    assert roomier <= here <= behind


def test_the_wait_lies_between_what_short_and_long_runs_make_of_it() -> None:
    runs = RunTimes(mean_s=10.0, p10_s=6.0, p90_s=18.0)
    assert wait_interval_s(0, FitSlots(slots=2, free=1), runs=None) == (0.0, 0.0)
    assert wait_interval_s(0, FitSlots(slots=1), runs=runs) == (0.0, 18.0)
    assert wait_interval_s(3, FitSlots(slots=1), runs=None) is None
    assert wait_interval_s(0, FitSlots(slots=2, held_back_s=(6.0,)), runs=None) == (0.0, 6.0)
    assert wait_interval_s(0, FitSlots(slots=1, held_back_s=(6.0,)), runs=runs) == (0.0, 6.0)


def test_runs_that_always_take_the_same_leave_only_open_when_the_first_of_them_ends() -> None:
    runs = run_times([10.0] * 5)
    assert wait_interval_s(3, FitSlots(slots=1), runs=runs) == (30.0, 40.0)
    assert wait_interval_s(3, FitSlots(slots=1), runs=run_times([0.0])) == (0.0, 0.0)


def test_the_more_runs_are_waited_for_the_narrower_the_interval_beside_the_wait() -> None:
    runs = RunTimes(mean_s=10.0, p10_s=4.0, p90_s=20.0)

    def width(ahead: int) -> float:
        interval = wait_interval_s(ahead, FitSlots(slots=1), runs=runs)
        expected = expected_wait_s(ahead, FitSlots(slots=1), run_s=runs.mean_s)
        assert interval is not None
        assert expected is not None
        return (interval[1] - interval[0]) / expected

    assert width(3) > width(15) > width(63)
    assert width(399) < 0.1


@given(
    st.integers(0, 500),
    st.integers(1, 50),
    st.integers(0, 50),
    st.lists(times, max_size=20),
    st.lists(times, max_size=4),
)
def test_the_expected_wait_lies_in_its_interval_(
    ahead: int, slots: int, free: int, seconds: list[float], held: list[float]
) -> None:
    now = FitSlots(slots=slots, free=min(free, slots), held_back_s=tuple(sorted(held)))
    runs = run_times(seconds)
    interval = wait_interval_s(ahead, now, runs=runs)
    expected = expected_wait_s(ahead, now, run_s=None if runs is None else runs.mean_s)
    assert (interval is None) == (expected is None)
    if interval is not None and expected is not None:
        assert 0 <= interval[0] <= expected * (1 + 1e-9)
        assert expected <= interval[1] * (1 + 1e-9)


def test_slots_are_those_of_machines_that_fit_and_take_work() -> None:
    machines = (
        machine("busy", slots=2, used=2),
        machine("free", slots=2, used=1),
        machine("gone", active=False),
        machine("out", parked=False, description=MachineDescription(takes_work=False)),
        machine("elsewhere", profile="other"),
    )
    assert fit_slots(lane("l"), wanted(), cell(*machines), RULE, waited_ms=0) == FitSlots(machines=2, slots=4, free=1)


def test_a_machine_without_the_model_holds_back_for_the_rest_of_its_patience() -> None:
    machines = (machine("holder", held={"sdxl": "resident"}, used=1), machine("empty"))
    ours = lane("l", anchors=SDXL)
    assert fit_slots(ours, wanted(), cell(*machines), RULE, waited_ms=1_000).held_back_s == (2.0,)
    assert fit_slots(ours, wanted(), cell(*machines), RULE, waited_ms=3_000).free == 1


def test_lanes_count_that_come_before_and_want_the_same_machines() -> None:
    parts = (
        lane("ours", waits=True, head="5"),
        lane("before", waits=True, head="3"),
        lane("after", waits=True, head="7"),
        lane("idle"),
        lane("foreign", waits=True, head="1", requirement_class="x"),
    )
    snapshot = msgspec.structs.replace(
        cell(machine("m"), machine("n", profile="other"), *parts), classes={"c": wanted(), "x": wanted(pool="fast")}
    )
    assert [other.id for other in shared_lanes(parts[0], "5", wanted(), snapshot)] == ["before"]


@pytest.mark.parametrize(
    ("snapshot", "sentence"),
    [
        (CellSnapshot(), "no machine is here"),
        (
            cell(machine("far", profile="other"), machine("near")),
            "no machine fits now: near (the closest of 2) has 24000 MB of VRAM, the job needs 48000",
        ),
        (
            cell(machine("m", active=False)),
            "no machine fits now: m has 24000 MB of VRAM, the job needs 48000; all machines drain",
        ),
        (
            cell(machine("m", description=MachineDescription(takes_work=False))),
            "no machine fits now: m has 24000 MB of VRAM, the job needs 48000; no machine takes work now",
        ),
    ],
)
def test_the_unmet_need_of_the_closest_machine_is_named(snapshot: CellSnapshot, sentence: str) -> None:
    assert why_nobody(wanted(vram_mb=48_000), snapshot) == sentence


def test_machines_that_would_fit_but_take_nothing_are_counted_and_come_before_those_that_do_not_fit() -> None:
    drained = cell(machine("m", active=False), machine("x", profile="other", active=False))
    assert why_nobody(wanted(), drained) == "m fits, but takes no new work now"
    several = cell(*(machine(f"m{number}", active=False) for number in range(5)), machine("x", profile="other"))
    assert why_nobody(wanted(), several) == "5 machines fit, but take no new work now (m0, m1, m2, …)"
    assert profile().vram_mb == 24_000


def test_of_machines_that_fit_and_whose_engines_are_out_it_is_said_why() -> None:
    """A wait of a quarter of an hour, or of a day, that is mended where the machine stands."""
    out = MachineDescription(takes_work=False, trouble="picture takes no work now: it died")
    alone = cell(machine("m", parked=False, description=out))
    assert why_nobody(wanted(), alone) == "m fits, but its engine is out: picture takes no work now: it died"
    mute = cell(machine("m", parked=False, description=MachineDescription(takes_work=False)))
    assert why_nobody(wanted(), mute) == "m fits, but its engine is out"
    assert why_nobody(wanted(), cell(machine("m", slots=0))) == "m fits, but it has no slots"
    both = cell(machine("drains", active=False), machine("m", parked=False, description=out))
    assert why_nobody(wanted(), both) == (
        "2 machines fit, but take no new work now (drains, m); of m, its engine is out: picture takes no work now: it died"
    )


def test_lanes_that_only_machines_whose_engines_are_out_could_share_do_not_come_before() -> None:
    parts = (lane("ours", waits=True, head="5"), lane("before", waits=True, head="3"))
    out = machine("m", description=MachineDescription(takes_work=False))
    assert shared_lanes(parts[0], "5", wanted(), cell(out, *parts)) == []
    assert [one.id for one in shared_lanes(parts[0], "5", wanted(), cell(machine("m"), *parts))] == ["before"]
