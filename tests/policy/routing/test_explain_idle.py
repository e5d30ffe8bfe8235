"""Why a machine does nothing: what waits, what of it the machine may take and when, and why not the rest."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from northstar.domain.explanations import Action, LaneDemand, PoolDemand
from northstar.domain.machines import MachineDescription
from northstar.domain.reasons import Lack, Reason
from northstar.policy.fleet.health import QUARANTINED
from northstar.policy.routing.explain_idle import Demand, Idleness, LaneWait, idleness_of
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState
from tests.policy.routing.builders import GB, SDXL, cell, lane, machine, wanted

RULE = PatienceRule()
NOW_MS = 1_000_000
WAITING = LaneWait(2, NOW_MS - 1_000)
OURS = lane("ours", waits=True, head="1", unfinished=3)
FOREIGN = lane("foreign", waits=True, head="2", unfinished=4, requirement_class="x")
TROUBLE = MachineDescription(trouble="picture takes no work now: it died")


def idle(subject: MachineState, *parts: MachineState | LaneState, **changes: Any) -> Idleness:
    lanes = {part.id: WAITING for part in parts if isinstance(part, LaneState)}
    snapshot = msgspec.structs.replace(
        cell(subject, *parts), classes={"c": wanted(), "x": wanted(tags=("eu",)), "big": wanted(vram_mb=20_000)}
    )
    snapshot = msgspec.structs.replace(snapshot, fits={("p", "c"): True, ("p", "x"): False, ("p", "big"): True})
    return idleness_of(subject, demand(**{"lanes": lanes} | changes), snapshot, RULE)


def demand(**changes: Any) -> Demand:
    fields: dict[str, Any] = {"now_ms": NOW_MS, "overdue_ms": 60_000}
    return Demand(**fields | changes)


@pytest.mark.parametrize(
    ("subject", "parts", "code"),
    [
        (machine("m"), (), "nothing_waits"),
        (machine("m"), (OURS,), "takes_work"),
        (machine("m"), (FOREIGN,), "blocked"),
        (machine("m", used=1), (OURS,), "busy"),
        (machine("m", active=False), (OURS,), "draining"),
        (machine("m", parked=False, description=TROUBLE), (OURS,), "out_of_work"),
        (machine("m", description=TROUBLE), (OURS,), "takes_work"),
        (machine("m", used=1, description=MachineDescription(takes_work=False)), (OURS,), "out_of_work"),
        (
            machine(
                "m",
                parked=False,
                description=MachineDescription(trouble=f"picture takes no work now: {QUARANTINED}: x"),
            ),
            (OURS,),
            "quarantined",
        ),
    ],
)
def test_what_a_machine_does_has_a_name(subject: MachineState, parts: tuple[LaneState, ...], code: str) -> None:
    """One row a state; trouble of one engine is none of a machine whose others ask for work."""
    assert idle(subject, *parts).code == code


def test_what_waits_and_does_not_fit_is_counted_by_its_reason() -> None:
    """Jobs and kinds of jobs, with the need that is not met."""
    (blocked,) = idle(machine("m"), OURS, FOREIGN, msgspec.structs.replace(FOREIGN, id="foreign2")).blocked
    assert blocked.reason == Reason(code="does_not_fit", lacks=(Lack("tags", "lacks tags eu"),))
    assert (blocked.lanes, blocked.jobs, len(blocked.examples)) == (2, 4, 2)


def test_what_it_may_take_comes_with_the_seconds_until_it_may() -> None:
    """Lanes that it takes now come first; those that it leaves to holders say for how long."""
    holder = machine("holder", held={"sdxl": "resident"}, used=1)
    patient = lane("patient", waits=True, head="3", anchors=SDXL, unfinished=1, run_s=1.0)
    found = idle(machine("m"), patient, OURS, holder)
    now, later = found.may_take
    assert now == LaneDemand(
        service="picture", pool="standard", waiting=2, unfinished=3, reason=Reason(code="takes_it")
    )
    assert later.models == ("sdxl",)
    assert later.reason is not None
    assert later.reason.patience is not None
    assert (later.reason.patience.left_s, later.reason.patience.missing_bytes) == (2.0, 6 * GB)
    assert found.code == "takes_work"


def test_a_machine_that_leaves_everything_to_others_is_blocked_and_says_so() -> None:
    """It is idle on purpose, and only for a while."""
    holder = machine("holder", held={"sdxl": "resident"}, used=1)
    found = idle(machine("m"), lane("patient", waits=True, anchors=SDXL, unfinished=1, run_s=1.0), holder)
    assert found.code == "blocked"
    assert [blocked.reason.code for blocked in found.blocked] == ["leaves_to_holders"]


def test_room_that_is_kept_for_an_overdue_job_is_told() -> None:
    """An overdue job fits the machine, but not what is free on it: nothing that much younger may take that room."""
    subject = machine("m", slots=2, used=1, vram_free_mb=16_000)
    big = lane("big", waits=True, head="9", requirement_class="big", unfinished=1)
    young = idle(subject, OURS, big)
    assert [lane.reason for lane in young.may_take] == [Reason(code="takes_it")]
    near = {"ours": WAITING, "big": LaneWait(1, NOW_MS - 60_999)}
    assert [lane.reason for lane in idle(subject, OURS, big, lanes=near).may_take] == [Reason(code="takes_it")]
    lanes = {"ours": WAITING, "big": LaneWait(1, NOW_MS - 61_000)}
    overdue = idle(subject, OURS, big, lanes=lanes)
    assert overdue.may_take == ()
    assert {blocked.reason.code for blocked in overdue.blocked} == {"overdue_first", "no_room"}


def test_room_that_is_kept_from_the_first_is_kept_from_all_that_come_after_it() -> None:
    """The queue compares the first head with the overdue job, and gives nothing where that has to wait: an older one behind it neither."""
    subject = machine("m", slots=2, used=1, vram_free_mb=16_000)
    big = lane("big", waits=True, head="9", requirement_class="big", unfinished=1)
    second = lane("second", waits=True, head="5", unfinished=1)
    lanes = {"ours": WAITING, "second": LaneWait(1, NOW_MS - 60_000), "big": LaneWait(1, NOW_MS - 100_000)}
    assert idle(subject, OURS, second, big, lanes=lanes).may_take == ()
    lanes = {"second": LaneWait(1, NOW_MS - 60_000), "ours": WAITING, "big": LaneWait(1, NOW_MS - 100_000)}
    (taken,) = idle(subject, OURS, second, big, lanes=lanes).may_take
    assert taken.unfinished == 1


def test_its_pools_say_what_they_demand_and_how_much_of_it_fits() -> None:
    """Waiting jobs of each of its pools, those it fits, and whether the pool is paused."""
    found = idle(machine("m"), OURS, FOREIGN, pauses={"pool:standard": "upkeep"})
    assert found.pools == (PoolDemand(pool="standard", waiting=4, fits=2, paused=True),)
    assert found.actions == (Action("end the pause of pool:standard", "northstar resume pool:standard"),)


@pytest.mark.parametrize(
    ("subject", "command"),
    [
        (machine("m", active=False), "northstar machines drain m --undo"),
        (machine("m", parked=False, description=TROUBLE), "northstar machines show m"),
    ],
)
def test_what_would_help_is_a_command(subject: MachineState, command: str) -> None:
    """Never only a diagnosis."""
    assert [action.command for action in idle(subject, OURS).actions] == [command]


def test_no_more_than_twenty_kinds_of_jobs_are_shown_and_the_rest_is_counted() -> None:
    """A cell may have a hundred thousand lanes."""
    found = idle(machine("m"), *(lane(f"l{number:02}", waits=True, unfinished=1) for number in range(50)))
    assert (len(found.may_take), found.more_lanes) == (20, 30)


def test_a_lane_that_cannot_be_read_is_no_reason_to_fail() -> None:
    """A newer version wrote its class."""
    snapshot = CellSnapshot(machines={"m": machine("m")}, lanes={"l": lane("l", waits=True)})
    found = idleness_of(machine("m"), demand(lanes={"l": WAITING}), snapshot, RULE)
    assert [blocked.reason.says for blocked in found.blocked] == ["a newer version wrote what its jobs ask for"]


def test_a_machine_for_which_nothing_is_says_what_would_let_it_take_the_most() -> None:
    """Here a pool; memory that it lacks nobody can give it, and a machine that has its own work is left to it."""
    fast = lane("fast", waits=True, requirement_class="fast", unfinished=3)
    large = lane("large", waits=True, requirement_class="large", unfinished=9)
    snapshot = msgspec.structs.replace(
        cell(machine("m"), fast, large), classes={"fast": wanted(pool="fast"), "large": wanted(vram_mb=80_000)}
    )
    lanes = {"fast": LaneWait(3, 0), "large": LaneWait(9, 0)}
    found = idleness_of(machine("m"), demand(lanes=lanes), snapshot, RULE)
    assert [action.command for action in found.actions] == ["northstar machines invite --pool standard --pool fast"]
    here = idleness_of(machine("m"), demand(lanes=lanes), snapshot, RULE, of_this_host=("m",))
    assert [action.command for action in here.actions] == ["northstar up --config FILE"]
    assert idle(machine("m"), OURS, FOREIGN).actions == ()


def test_a_machine_that_drains_takes_nothing_and_says_so_of_each_job() -> None:
    """It was said to take next what it does not get."""
    found = idle(machine("m", active=False), OURS, FOREIGN)
    assert (found.code, found.may_take) == ("draining", ())
    assert {(group.reason.code, group.jobs) for group in found.blocked} == {("draining", 2), ("does_not_fit", 2)}
