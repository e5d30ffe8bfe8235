"""Which lanes a machine may take, and which machines a lane should go to."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from northstar.domain.machines import MachineDescription
from northstar.policy.routing.candidates import MAX_CANDIDATES, Choice, candidates, ranking, undecided_fits
from northstar.policy.routing.gpu_pace import GpuPaces
from northstar.policy.routing.ranking_terms import RankingTerms
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot
from tests.policy.routing.builders import GB, SDXL, cell, lane, machine, profile, wanted
from tests.policy.routing.test_machine_choice import NOW_MS, machines, paces

RULE = PatienceRule()


def waits(snapshot: CellSnapshot, name: str) -> dict[str, int]:
    """Lane -> ready-after of a machine's candidates."""
    return {choice.subject: choice.ready_after_ms for choice in candidates(snapshot.machines[name], snapshot, RULE)}


def ranked(snapshot: CellSnapshot, **changes: Any) -> list[Choice]:
    return ranking(lane("new", **changes), wanted(), snapshot, RULE)[1]


def test_every_pair_of_profile_and_class_that_is_open_is_decided_once() -> None:
    assert sorted(undecided_fits(cell(fits={}))) == [("other", "c", False), ("p", "c", True)]
    assert list(undecided_fits(cell())) == []


def test_a_machine_may_take_the_lanes_that_its_profile_fits_and_no_others() -> None:
    snapshot = cell(machine("m"), machine("stranger", profile="other"), lane("l"))
    assert waits(snapshot, "m") == {"l": 0}
    assert waits(snapshot, "stranger") == {}


def test_a_machine_without_the_models_waits_while_another_has_them() -> None:
    warm, cold = machine("warm", held={"sdxl": "resident"}), machine("cold")
    snapshot = cell(warm, cold, lane("l", anchors=SDXL))
    assert waits(snapshot, "warm") == {"l": 0}
    assert waits(snapshot, "cold") == {"l": 3_000}


def test_nobody_waits_for_a_machine_that_does_not_fit_the_lane() -> None:
    stranger = machine("stranger", profile="other", held={"sdxl": "resident"})
    assert waits(cell(stranger, machine("cold"), lane("l", anchors=SDXL)), "cold") == {"l": 0}


def test_nobody_waits_for_a_machine_that_takes_no_work() -> None:
    leaving = machine("leaving", active=False, held={"sdxl": "resident"})
    assert waits(cell(leaving, machine("cold"), lane("l", anchors=SDXL)), "cold") == {"l": 0}


def test_nobody_waits_for_a_machine_whose_engines_are_out() -> None:
    """It has the model, and is no holder: nobody leaves it a job for the minutes or hours until it is back."""
    out = machine("out", parked=False, held={"sdxl": "resident"}, description=MachineDescription(takes_work=False))
    assert waits(cell(out, machine("cold"), lane("l", anchors=SDXL)), "cold") == {"l": 0}
    assert [choice.subject for choice in ranked(cell(out, machine("cold")), anchors=SDXL)] == ["cold"]


def test_the_only_machine_with_the_models_on_disk_does_not_wait_for_itself() -> None:
    disk = machine("disk", held={"sdxl": "disk"})
    snapshot = cell(disk, machine("cold"), lane("l", anchors=SDXL))
    assert waits(snapshot, "disk") == {"l": 0}
    assert waits(snapshot, "cold") == {"l": 3_000}


def test_what_one_machine_fetches_another_need_not_fetch_for_the_same_jobs() -> None:
    """Architecture, section 3: "Single-flight: a model being fetched is not fetched twice for the same need"."""
    flying = machine("flying", fetching={"sdxl": NOW_MS + 2_000})
    snapshot = msgspec.structs.replace(cell(flying, machine("cold"), lane("l", anchors=SDXL)), now_ms=NOW_MS)
    assert waits(snapshot, "cold") == {"l": 3_000}
    assert waits(snapshot, "flying") == {"l": 0}


def test_a_fetch_that_ends_later_than_the_own_one_would_is_not_waited_for() -> None:
    flying = machine("flying", fetching={"sdxl": NOW_MS + 6_000})
    snapshot = msgspec.structs.replace(cell(flying, machine("cold"), lane("l", anchors=SDXL)), now_ms=NOW_MS)
    assert waits(snapshot, "cold") == {"l": 0}


def test_a_machine_with_the_models_on_disk_gives_one_with_them_in_memory_a_moment() -> None:
    snapshot = cell(
        machine("warm", held={"sdxl": "resident"}), machine("disk", held={"sdxl": "disk"}), lane("l", anchors=SDXL)
    )
    assert waits(snapshot, "disk") == {"l": 1_875}  # half of the 3.75 s that it takes to load 6 GB


def test_a_machine_has_at_most_so_many_candidates() -> None:
    lanes = [lane(f"l{number:03}") for number in range(MAX_CANDIDATES + 10)]
    assert len(waits(cell(machine("m"), *lanes), "m")) == MAX_CANDIDATES


def test_lanes_where_somebody_waits_come_before_lanes_where_nobody_does() -> None:
    idle = [lane(f"idle{number:03}", unfinished=100) for number in range(MAX_CANDIDATES)]
    late = lane("late", unfinished=1, waits=True)
    assert "late" in waits(cell(machine("m"), *idle, late), "m")


def test_of_equal_lanes_the_fuller_ones_are_kept() -> None:
    lanes = [lane(f"l{number:03}", unfinished=number, waits=True) for number in range(MAX_CANDIDATES + 1)]
    assert "l000" not in waits(cell(machine("m"), *lanes), "m")


def test_a_new_lane_goes_to_the_machines_that_have_its_jobs_done_first() -> None:
    snapshot = cell(
        machine("busy", held={"sdxl": "resident"}, used=1, work_ahead_s=40.0),
        machine("cold"),
        machine("disk", held={"sdxl": "disk"}),
        machine("soon", held={"sdxl": "resident"}, used=1, work_ahead_s=5.0),
        machine("warm", held={"sdxl": "resident"}),
    )
    order = [choice.subject for choice in ranked(snapshot, anchors=SDXL)]
    assert order == ["warm", "disk", "soon", "cold", "busy"]


def test_of_machines_that_could_start_equally_soon_the_emptier_is_preferred() -> None:
    snapshot = cell(machine("fuller", used=2, slots=4), machine("free", slots=4))
    assert min(ranked(snapshot)).subject == "free"


def test_a_new_lane_is_placed_only_where_it_fits_and_work_is_taken() -> None:
    snapshot = cell(machine("m"), machine("stranger", profile="other"), machine("leaving", active=False))
    decided, choices = ranking(lane("new"), wanted(), snapshot, RULE)
    assert decided == [("other", False), ("p", True)]
    assert [choice.subject for choice in choices] == ["m"]


@settings(deadline=None)
@given(hosts=st.lists(machines, max_size=8), anchors=st.sampled_from([(), SDXL, (*SDXL, ("vae", GB))]))
def test_both_sides_judge_alike(hosts: list[dict[str, Any]], anchors: tuple[tuple[str, int], ...]) -> None:
    named = [machine(f"m{number}", **host | {"profile": "p"}) for number, host in enumerate(hosts)]
    snapshot = msgspec.structs.replace(cell(*named, lane("l", anchors=anchors)), now_ms=NOW_MS)
    working = {name for name, one in snapshot.machines.items() if one.takes_work}
    seen_by_machines = {
        name: (choice.ready_after_ms, choice.preference)
        for name in working
        for choice in candidates(snapshot.machines[name], snapshot, RULE)
    }
    seen_by_lane = {one.subject: (one.ready_after_ms, one.preference) for one in ranked(snapshot, anchors=anchors)}
    assert seen_by_lane == seen_by_machines


def test_an_urgent_job_is_first_though_64_lanes_of_another_tenant_are_full() -> None:
    low = [lane(f"a{number:02}", unfinished=100, waits=True, head=f"1f5{number:03}") for number in range(64)]
    urgent = lane("b", unfinished=1, waits=True, head="19b000")
    snapshot = cell(machine("m"), *low, urgent)
    assert candidates(snapshot.machines["m"], snapshot, RULE)[0].subject == "b"


def test_an_urgent_job_is_a_candidate_though_others_could_start_it_sooner() -> None:
    low = [lane(f"a{number:02}", waits=True, head=f"1f5{number:03}") for number in range(64)]
    urgent = lane("b", anchors=SDXL, waits=True, head="19b000")
    snapshot = cell(machine("m"), machine("warm", held={"sdxl": "resident"}), *low, urgent)
    assert waits(snapshot, "m")["b"] == 3_000


def test_half_the_places_stay_for_what_the_machine_can_start_at_once() -> None:
    urgent = [lane(f"b{number:03}", anchors=SDXL, waits=True, head=f"19b{number:03}") for number in range(200)]
    ready = [lane(f"a{number:02}", waits=True, head=f"1f5{number:03}") for number in range(40)]
    snapshot = cell(machine("m"), machine("warm", held={"sdxl": "resident"}), *urgent, *ready)
    found = list(waits(snapshot, "m"))
    assert found[:32] == [f"a{number:02}" for number in range(32)]
    assert found[32:] == [f"b{number:03}" for number in range(32)]


def test_where_it_counts_machines_near_their_users_go_before_equal_ones() -> None:
    """Spec, Lightning: "edge deployment preferred"."""
    near, far = machine("near", profile="edge"), machine("far")
    snapshot = msgspec.structs.replace(cell(near, far), profiles={"p": profile(), "edge": profile(tags=("edge",))})
    new = lane("new")
    _, preferred = ranking(new, wanted(), snapshot, RULE, terms=RankingTerms(near=frozenset({"standard"})))
    _, equal = ranking(new, wanted(), snapshot, RULE)
    assert sorted((one.preference, one.subject) for one in preferred) == [(0, "near"), (24, "far")]
    assert {one.preference for one in equal} == {0}


#: An L4 takes four times as long as an H100.
PACES = GpuPaces({"h100": 0.5, "l4": 2.0})
H100, L4 = MachineDescription(gpu="NVIDIA H100 PCIe"), MachineDescription(gpu="NVIDIA L4")
BY_PACE = RankingTerms(paces=PACES)


def test_of_idle_machines_that_hold_the_models_the_one_with_the_faster_gpu_has_the_job_done_first() -> None:
    snapshot = cell(machine("a", description=L4), machine("b", description=H100), machine("c"))
    _, choices = ranking(lane("new"), wanted(), snapshot, RULE, terms=BY_PACE)
    assert [one.subject for one in choices] == ["b", "c", "a"]
    assert [one.preference for one in choices] == [0, 32 * 100, 32 * 300]  # 10 s and 30 s later than the fastest


def test_what_is_known_of_the_work_itself_counts_more_than_what_gpus_are_like_in_general() -> None:
    snapshot = cell(machine("a", description=L4), machine("b", description=H100))
    own = PACES.with_times({"l4": 5.0}, expected_s=20.0)
    _, choices = ranking(lane("new"), wanted(), snapshot, RULE, terms=BY_PACE, paces=own)
    assert min(choices).subject == "a"


def test_a_fast_gpu_that_must_fetch_does_not_wait_for_a_slow_one_that_holds_the_models() -> None:
    """It has the job done after 6 s of fetch, 4 s of load and 10 s of run; the other one after 40 s of run."""
    slow, fast = machine("slow", held={"sdxl": "resident"}, description=L4), machine("fast", description=H100)
    snapshot = cell(slow, fast)
    for terms, first in ((RankingTerms(), "slow"), (BY_PACE, "fast")):
        _, choices = ranking(lane("new", anchors=SDXL), wanted(), snapshot, RULE, terms=terms)
        assert min(choices).subject == first


@settings(deadline=None)
@given(
    hosts=st.lists(machines, max_size=8),
    anchors=st.sampled_from([(), SDXL, (*SDXL, ("vae", GB))]),
    known=paces,
    near=st.sampled_from([frozenset[str](), frozenset({"standard"})]),
)
def test_both_sides_judge_alike_by_paces_and_nearness_too(
    hosts: list[dict[str, Any]], anchors: tuple[tuple[str, int], ...], known: GpuPaces, near: frozenset[str]
) -> None:
    named = [machine(f"m{number}", **host | {"profile": "p"}) for number, host in enumerate(hosts)]
    snapshot = msgspec.structs.replace(cell(*named, lane("l", anchors=anchors)), now_ms=NOW_MS)
    terms = RankingTerms(known, near)
    working = {name for name, one in snapshot.machines.items() if one.takes_work}
    seen_by_machines = {
        name: (choice.ready_after_ms, choice.preference)
        for name in working
        for choice in candidates(snapshot.machines[name], snapshot, RULE, terms)
    }
    _, seen = ranking(lane("new", anchors=anchors), wanted(), snapshot, RULE, terms=terms)
    assert {one.subject: (one.ready_after_ms, one.preference) for one in seen} == seen_by_machines
