"""Uniform pull: one queue, and nobody asks who holds what."""

from __future__ import annotations

from collections import Counter

from northstar.domain.machines import MachineDescription
from northstar.policy.baselines.uniform import uniform_candidates, uniform_ranking
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

GB = 1_000_000_000


def machine(name: str, *, used: int = 0, active: bool = True, profile: str = "p", **held: str) -> MachineState:
    return MachineState(
        id=name,
        profile=profile,
        slots=1,
        used=used,
        active=active,
        parked=not used,
        held=held,
        description=MachineDescription(),
    )


def lane(name: str, *, head: str, model: str = "base", requirement_class: str = "c") -> LaneState:
    return LaneState(
        id=name,
        key=name,
        requirement_class=requirement_class,
        anchors=((model, 4 * GB),),
        unfinished=1,
        waits=True,
        head=head,
    )


def cell(machines: list[MachineState], lanes: list[LaneState]) -> CellSnapshot:
    return CellSnapshot(
        machines={one.id: one for one in machines},
        lanes={one.id: one for one in lanes},
        fits={("p", "c"): True, ("p", "other"): False, ("q", "other"): True},
    )


def test_every_machine_may_take_every_fitting_lane_at_once_whatever_it_holds() -> None:
    lanes = [lane("second", head="2", model="b"), lane("first", head="1", model="a")]
    found = uniform_candidates(cell([machine("has b", b="resident"), machine("has nothing")], lanes))
    assert found["has b"] == found["has nothing"]
    assert [(one.subject, one.ready_after_ms, one.preference) for one in found["has b"]] == [
        ("first", 0, 0),
        ("second", 0, 0),
    ]


def test_what_does_not_fit_is_no_candidate_and_who_drains_has_none() -> None:
    lanes = [lane("fits", head="1"), lane("does not", head="0", requirement_class="other")]
    found = uniform_candidates(cell([machine("m"), machine("drains", active=False), machine("q", profile="q")], lanes))
    assert {name: [one.subject for one in choices] for name, choices in found.items()} == {
        "m": ["fits"],
        "drains": [],
        "q": ["does not"],
    }


def test_no_more_than_64_lanes_are_candidates_the_first_heads_of_all() -> None:
    lanes = [lane(f"l{number:03}", head=f"{number:03}") for number in range(100)]
    found = uniform_candidates(cell([machine("m")], lanes))["m"]
    assert [one.subject for one in found] == [f"l{number:03}" for number in range(64)]


def test_whichever_idle_machine_asks_first_has_the_job_and_each_is_first_equally_often() -> None:
    snapshot = cell([machine(name) for name in "abcd"] + [machine("busy", used=1)], [])
    firsts = Counter(uniform_ranking("c", snapshot, seed=number)[0].subject for number in range(4_000))
    assert set(firsts) == set("abcd")
    # 1,000 each, with a standard deviation of 27.
    assert all(abs(count - 1_000) < 140 for count in firsts.values())
    assert uniform_ranking("c", snapshot, seed=1)[-1].subject == "busy"
    assert uniform_ranking("c", snapshot, seed=1) == uniform_ranking("c", snapshot, seed=1)
