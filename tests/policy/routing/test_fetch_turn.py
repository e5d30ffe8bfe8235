"""Of machines that would have a job done equally soon by a fetch one with room goes first, and of these one by lot."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from northstar.domain.machines import MachineDescription
from northstar.policy.routing.candidates import ranking
from northstar.policy.routing.fetch_turn import LAST_TURN, fetch_turn, turn_for
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.machine_choice import JobNeed
from northstar.policy.routing.plan import plan_candidates
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from tests.policy.routing.builders import GB, SDXL, cell, folderless, lane, machine, profile, wanted

RULE = PatienceRule()
NAMES = [f"m{number:02}" for number in range(24)]


def first_at_submit(snapshot: CellSnapshot, model: str, *, gb: int = 6) -> str:
    _, choices = ranking(lane("new", anchors=((model, gb * GB),)), wanted(), snapshot, RULE)
    return min(choices).subject


def first_in_index(snapshot: CellSnapshot, model: str) -> str:
    best = FleetIndex(snapshot).best(JobNeed(wanted=wanted(), models=((model, 6 * GB),)))
    assert best is not None
    return best.machine


def test_models_spread_over_machines_that_nothing_tells_apart() -> None:
    """By name the first would have all 240; by lot ten each, give or take."""
    snapshot = cell(*map(machine, NAMES))
    fetched = Counter(first_at_submit(snapshot, f"model-{number}") for number in range(240))
    assert fetched.keys() == set(NAMES)
    assert max(fetched.values()) <= 25


def test_a_model_comes_back_to_the_machine_that_fetched_it_before_whatever_others_come_and_go() -> None:
    for number in range(20):
        first = first_at_submit(cell(*map(machine, NAMES)), f"model-{number}")
        others = [name for name in NAMES[::2] if name != first]
        assert first_at_submit(cell(*map(machine, [first, *others])), f"model-{number}") == first


def test_a_machine_with_room_goes_before_one_that_would_have_to_drop_something() -> None:
    for number in range(20):
        full = [machine(name, free_disk_bytes=5 * GB) for name in NAMES]
        snapshot = cell(*full, machine("roomy", free_disk_bytes=6 * GB))
        assert first_at_submit(snapshot, f"model-{number}") == "roomy"
        assert first_in_index(snapshot, f"model-{number}") == "roomy"


def test_room_is_for_what_is_missing_and_not_for_what_is_there() -> None:
    both = (*SDXL, ("refiner", 4 * GB))
    holds_one = machine("m", held={"sdxl": "disk"}, free_disk_bytes=4 * GB)
    holds_none = machine("m", free_disk_bytes=4 * GB)
    assert turn_for(holds_one, both) < 12 <= turn_for(holds_none, both)


@pytest.mark.parametrize(
    "one",
    [
        machine("m", held={"sdxl": "disk"}),
        machine("m", fetching={"sdxl": 1_000}),
        machine("m", used=1),
        machine("m", description=folderless()),
    ],
    ids=["holds it", "fetches it already", "has something to do", "fetches nothing"],
)
def test_who_does_not_begin_a_fetch_at_once_draws_no_lot(one: MachineState) -> None:
    assert turn_for(one, SDXL) == 0


def test_a_lot_never_outweighs_what_a_machine_does_or_how_soon_it_is_done() -> None:
    """Whatever it draws, an idle machine goes before one with a slot used, and one with a better link before both."""
    for number in range(20):
        idle = machine("idle", slots=2, download_bytes_per_s=125e6)
        half = machine("half", slots=2, used=1, download_bytes_per_s=125e6, free_disk_bytes=100 * GB)
        assert first_at_submit(cell(idle, half), f"model-{number}") == "idle"
        quick = machine("quick", slots=2, used=1, download_bytes_per_s=500e6)
        assert first_at_submit(cell(idle, half, quick), f"model-{number}") == "quick"


def test_few_share_the_first_turn_that_is_drawn_in_fleets_of_any_size() -> None:
    """By name, the first of those that share it would have all fetches of a plan."""
    for machines, most in ((2, 1.3), (24, 2.0), (2_000, 6.0)):
        turns = [
            [fetch_turn(machine(f"m{number}", free_disk_bytes=GB), f"model-{model}", GB) for number in range(machines)]
            for model in range(30)
        ]
        assert sum(one.count(min(one)) for one in turns) / len(turns) <= most


def test_machines_without_room_draw_from_the_turns_after_those_with_room() -> None:
    machines = [machine(f"m{number}", free_disk_bytes=GB) for number in range(200)]
    assert {fetch_turn(one, "sdxl", GB) for one in machines} <= set(range(12))
    assert {fetch_turn(one, "sdxl", 2 * GB) for one in machines} <= set(range(12, LAST_TURN + 1))


def test_a_plan_gives_machines_that_are_alike_each_its_own_turn_and_the_one_that_a_submission_gave() -> None:
    waiting = lane("l", anchors=SDXL, unfinished=1, waits=True, head="0")
    snapshot = cell(*map(machine, NAMES), waiting)
    planned = {name: choice.preference for name, (choice,) in plan_candidates(snapshot, RULE).items()}
    _, choices = ranking(waiting, wanted(), snapshot, RULE)
    assert planned == {one.subject: one.preference for one in choices}
    assert min(planned.items(), key=lambda item: (item[1], item[0]))[0] == first_in_index(snapshot, "sdxl")


idle_hosts = st.lists(
    st.fixed_dictionaries(
        {
            "free_disk_bytes": st.sampled_from([0, 6 * GB, 60 * GB]),
            "used": st.sampled_from([0, 0, 0, 1]),
            "slots": st.integers(1, 2),
            "profile": st.sampled_from(["p", "p", "far"]),
            "held": st.sampled_from([{}, {}, {"sdxl": "disk"}]),
        }
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(hosts=idle_hosts, model=st.sampled_from(["sdxl", "flux", "wan"]), far=st.booleans())
def test_the_index_ranks_by_turns_as_looking_at_each_machine_would(
    hosts: list[dict[str, Any]], model: str, far: bool
) -> None:
    snapshot = msgspec.structs.replace(
        cell(*(machine(f"m{number}", work_ahead_s=20.0 * host["used"], **host) for number, host in enumerate(hosts))),
        profiles={"p": profile(), "far": profile(tags=("far",))},
    )
    anchors = ((model, 6 * GB),)
    ranked = FleetIndex(snapshot).ranked(
        JobNeed(wanted=wanted(), models=anchors), 64, far=frozenset({"far"}) if far else frozenset()
    )
    by_hand = sorted(
        (one.total_s, one.used, turn_for(snapshot.machines[one.machine], anchors) if not one.used else 0, one.machine)
        for one in ranked
    )
    assert [(one.total_s, one.used, one.turn, one.machine) for one in ranked] == by_hand


def test_of_a_large_fleet_other_machines_are_looked_at_for_other_models() -> None:
    """Lots are drawn for 64 idle machines at most, and the fetches of a thousand must not all come to the first 64."""
    snapshot = cell(*(machine(f"m{number:04}", description=MachineDescription()) for number in range(1_000)))
    index = FleetIndex(snapshot)
    found = [index.best(JobNeed(wanted=wanted(), models=((f"model-{number}", GB),))) for number in range(200)]
    places = [int(one.machine[1:]) for one in found if one is not None]
    assert len(set(places)) > 120
    assert {place // 250 for place in places} == {0, 1, 2, 3}
