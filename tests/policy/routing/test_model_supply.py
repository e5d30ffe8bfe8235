"""Machines without a models folder: nothing is fetched to them, and of models that they are not known to hold nothing is known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from northstar.domain.machines import EngineDescription, MachineDescription
from northstar.policy.routing.candidates import candidates, ranking
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.links import ASSUMED_BYTES_PER_S, link_class, link_rate
from northstar.policy.routing.machine_choice import Completion, JobNeed, expected_completion
from northstar.policy.routing.model_supply import supply_of
from northstar.policy.routing.plan import plan_candidates
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from tests.policy.routing.builders import GB, cell, folderless, lane, machine, wanted

RULE = PatienceRule()
SDXL = (("sdxl", 8 * GB),)
NEED = JobNeed(wanted=wanted(), models=SDXL, run_elsewhere_s=20.0)
ASKS = lane("l", anchors=SDXL, unfinished=1, waits=True, head="0")


def left_alone(name: str, *named: str, **changes: Any) -> MachineState:
    """A machine without a models folder; its engine names these models, or none."""
    return machine(name, description=folderless(*named), download_bytes_per_s=0.0, **changes)


def done(one: MachineState) -> Completion:
    return expected_completion(one, NEED, now_ms=0)


def order(*machines: MachineState) -> list[str]:
    """As the index ranks them, which is also how the cell is told at submit and in the plan."""
    snapshot = cell(*machines, ASKS)
    found = [one.machine for one in FleetIndex(snapshot).ranked(NEED, 10)]
    told = sorted(ranking(ASKS, wanted(), snapshot, RULE)[1])
    planned = sorted(
        (choice.ready_after_ms, choice.preference, name) for name, (choice,) in plan_candidates(snapshot, RULE).items()
    )
    assert [one.subject for one in told] == [name for _, _, name in planned] == found
    return found


def test_where_the_engine_may_have_the_model_nothing_is_reckoned_for_a_fetch_and_a_load_is() -> None:
    assert done(left_alone("m")) == Completion(0.0, 0.0, 5.0, 20.0)
    assert done(left_alone("m", held={"sdxl": "resident"})) == Completion(0.0, 0.0, 0.0, 20.0)


def test_an_engine_that_names_others_counts_as_a_fetch_over_a_line_that_was_never_measured() -> None:
    """So that it comes before no machine that can have the model: there the job would most likely fail."""
    assumed_s = 8 * GB / link_rate(link_class(ASSUMED_BYTES_PER_S))
    assert done(left_alone("m", "flux")) == Completion(0.0, assumed_s, 5.0, 20.0)
    assert order(left_alone("a", "flux"), machine("b", download_bytes_per_s=0.0)) == ["b", "a"]


def test_one_that_does_not_say_whether_it_keeps_models_counts_as_it_did() -> None:
    """Unsaid is what older machines say, and most of them keep models."""
    assert supply_of(machine("m", description=MachineDescription()), "picture") == "fetched"


def test_only_the_engine_of_the_service_tells_of_its_jobs() -> None:
    engines = (EngineDescription(service="chat", models=3), EngineDescription(service="picture"))
    both = machine("m", description=MachineDescription(engines=engines, keeps_models=False))
    assert (supply_of(both, "picture"), supply_of(both, "chat")) == ("engine_may_have", "engine_names_others")


def test_of_otherwise_equal_machines_one_that_is_known_to_hold_the_model_comes_first() -> None:
    assert order(left_alone("a"), machine("b", held={"sdxl": "disk"})) == ["b", "a"]
    assert order(left_alone("a"), left_alone("b", "sdxl", held={"sdxl": "disk"})) == ["b", "a"]


def test_models_of_unknown_size_cost_nothing_and_a_known_holder_comes_first_all_the_same() -> None:
    unsized = lane("l", anchors=(("sdxl", 0),), unfinished=1, waits=True, head="0")
    snapshot = cell(left_alone("a"), left_alone("b", "sdxl", held={"sdxl": "resident"}), unsized)
    need = msgspec.structs.replace(NEED, models=unsized.anchors)
    assert [one.machine for one in FleetIndex(snapshot).ranked(need, 2)] == ["b", "a"]


def test_it_is_ahead_of_one_that_would_fetch_and_behind_one_that_has_it_in_memory() -> None:
    warm = machine("c", held={"sdxl": "resident"})
    assert order(machine("a"), left_alone("b"), warm) == ["c", "b", "a"]


@pytest.mark.parametrize(("held", "wait_ms"), [("resident", 2_500), ("disk", 0)])
def test_it_leaves_jobs_to_holders_no_longer_than_a_machine_with_the_file_on_its_disk_would(
    held: str, wait_ms: int
) -> None:
    snapshot = cell(left_alone("m"), machine("holder", held={"sdxl": held}), ASKS)
    assert [one.ready_after_ms for one in candidates(snapshot.machines["m"], snapshot, RULE)] == [wait_ms]


def test_nobody_leaves_jobs_to_it_since_nobody_knows_that_it_has_the_model() -> None:
    """A machine that would fetch for eight seconds takes the job at once."""
    snapshot = cell(left_alone("m"), machine("cold"), ASKS)
    assert [one.ready_after_ms for one in candidates(snapshot.machines["cold"], snapshot, RULE)] == [0]


def test_machines_that_differ_only_in_this_are_planned_for_apart() -> None:
    snapshot: CellSnapshot = cell(
        machine("keeps", download_bytes_per_s=0.0), left_alone("may"), left_alone("not", "flux"), ASKS
    )
    told = {name: choice.preference for name, (choice,) in plan_candidates(snapshot, RULE).items()}
    assert told["may"] < told["keeps"] < told["not"]
