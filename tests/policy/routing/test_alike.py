"""Machines that a plan cannot tell apart are one group, however the fleet came to be what it is."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from northstar.policy.routing.alike import Alike, AlikeMachines
from northstar.policy.routing.candidates import candidates
from northstar.policy.routing.gpu_pace import GpuPaces
from northstar.policy.routing.own_choices import OwnChoices
from northstar.policy.routing.plan import plan_rankings
from northstar.policy.routing.ranking_terms import RankingTerms
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState
from tests.policy.routing.builders import SDXL, cell, lane, machine
from tests.policy.routing.test_plan import RULE, a_cell, lanes, machines, paces

#: What happens to a fleet of six: a machine is there now as told, or is gone.
changes = st.tuples(st.integers(0, 5), st.none() | machines)
#: The same for six lanes.
queue_changes = st.tuples(st.integers(0, 5), st.none() | lanes)

Part = TypeVar("Part", MachineState, LaneState)


def as_facts(groups: list[Alike]) -> set[tuple[Any, ...]]:
    return {(group.key, tuple(sorted(group.ids)), group.slots, group.used) for group in groups}


#: Machines and lanes that are others now, or gone; and how much later it is.
a_step = st.tuples(st.lists(changes, max_size=3), st.lists(queue_changes, max_size=3), st.sampled_from([0, 700]))


@settings(deadline=None, max_examples=100)
@given(
    steps=st.lists(a_step, min_size=1, max_size=6),
    copies=st.sampled_from([1, 12]),
    known_paces=st.lists(paces, min_size=6, max_size=6),
    fits=st.lists(st.booleans(), min_size=9, max_size=9),
)
def test_who_saw_the_cell_before_plans_as_one_who_sees_it_first(
    steps: list[tuple[list[tuple[int, MachineState | None]], list[tuple[int, LaneState | None]], int]],
    copies: int,
    known_paces: list[GpuPaces],
    fits: list[bool],
) -> None:
    """What is remembered from plan to plan is what a first look finds, whatever of machines, lanes, paces and time has changed."""
    known = AlikeMachines()
    hosts: dict[int, MachineState] = {}
    queues: dict[int, LaneState] = {}
    before = CellSnapshot()
    now_ms = 10_000
    for (new_hosts, new_queues, later_ms), factors in zip(steps, known_paces, strict=False):
        hosts, queues = changed(hosts, new_hosts), changed(queues, new_queues)
        now_ms += later_ms
        snapshot = msgspec.structs.replace(
            a_cell(list(hosts.values()), [*queues.values()] * copies, fits), now_ms=now_ms
        )
        # A reader gives the same object for what is as it was.
        keep(snapshot.machines, before.machines)
        keep(snapshot.lanes, before.lanes)
        terms = RankingTerms(factors)
        planned = {
            name: OwnChoices(snapshot, terms).of(snapshot.machines[name], ranking)
            for group, ranking in plan_rankings(snapshot, RULE, known, terms)
            for name in group.ids
        }
        assert planned == {name: candidates(host, snapshot, RULE, terms) for name, host in snapshot.machines.items()}
        assert as_facts(known.see(snapshot.machines)) == as_facts(AlikeMachines().see(snapshot.machines))
        before = snapshot


def changed(all_: dict[int, Part], steps: list[tuple[int, Part | None]]) -> dict[int, Part]:
    """Those of them that are there after the steps."""
    for number, one in steps:
        all_.pop(number, None)
        all_ |= {} if one is None else {number: one}
    return all_


def keep(now: dict[str, Part], before: dict[str, Part]) -> None:
    """What says the same as before is the same object."""
    for name, one in now.items():
        if before.get(name) == one:
            now[name] = before[name]


def test_a_plan_that_says_the_same_is_the_same_object() -> None:
    """So that whoever compared it with a cell need not do so again."""
    known, snapshot = AlikeMachines(), cell(machine("m", used=0), lane("l", anchors=SDXL))
    ((_, first),) = plan_rankings(snapshot, RULE, known)
    busier = cell(machine("m", used=1), lane("l", anchors=SDXL))
    ((_, second),) = plan_rankings(busier, RULE, known)
    assert second is first
    assert [name for _, _, name in first] == ["l"]


def test_machines_that_differ_only_in_how_busy_they_are_are_alike_and_their_slots_are_added_up() -> None:
    (group,) = AlikeMachines().see({"a": machine("a", slots=2, used=1), "b": machine("b", slots=3, used=5)})
    assert (list(group.ids), group.slots, group.used) == (["a", "b"], 5, 4)


def test_a_machine_that_has_another_model_leaves_its_group() -> None:
    known = AlikeMachines()
    fleet = {"a": machine("a"), "b": machine("b")}
    assert len(known.see(fleet)) == 1
    groups = known.see(fleet | {"b": machine("b", held={name: "disk" for name, _ in SDXL})})
    assert sorted(map(list, (group.ids for group in groups))) == [["a"], ["b"]]


def test_of_a_fleet_that_has_gone_nothing_is_kept() -> None:
    known = AlikeMachines()
    known.see({"a": machine("a")})
    assert known.see({}) == []
