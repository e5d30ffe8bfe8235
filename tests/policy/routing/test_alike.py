"""Machines that a plan cannot tell apart are one group, however the fleet came to be what it is."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from northstar.policy.routing.alike import Alike, AlikeMachines
from northstar.policy.routing.candidates import candidates
from northstar.policy.routing.own_choices import OwnChoices
from northstar.policy.routing.plan import plan_rankings
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.policy.routing.snapshot import MachineState
from tests.policy.routing.builders import SDXL, machine
from tests.policy.routing.test_plan import RULE, a_cell, lanes, machines

#: What happens to a fleet of six: a machine is there now as told, or is gone.
changes = st.tuples(st.integers(0, 5), st.none() | machines)


def as_facts(groups: list[Alike]) -> set[tuple[Any, ...]]:
    return {(group.key, tuple(sorted(group.ids)), group.slots, group.used) for group in groups}


@settings(deadline=None, max_examples=100)
@given(
    steps=st.lists(st.lists(changes, max_size=3), min_size=1, max_size=6),
    queues=st.lists(lanes, max_size=6),
    fits=st.lists(st.booleans(), min_size=9, max_size=9),
)
def test_who_saw_the_fleet_before_plans_as_one_who_sees_it_first(
    steps: list[list[tuple[int, MachineState | None]]], queues: list[Any], fits: list[bool]
) -> None:
    known = AlikeMachines()
    hosts: dict[int, MachineState] = {}
    before: dict[str, MachineState] = {}
    for step in steps:
        for number, host in step:
            hosts.pop(number, None)
            hosts |= {} if host is None else {number: host}
        snapshot = a_cell(list(hosts.values()), queues, fits)
        # A reader gives the same object for a machine that is what it was.
        kept = {name: before[name] if before.get(name) == one else one for name, one in snapshot.machines.items()}
        snapshot.machines.clear()
        snapshot.machines.update(kept)
        planned = {
            name: OwnChoices(snapshot, NO_TERMS).of(snapshot.machines[name], ranking)
            for group, ranking in plan_rankings(snapshot, RULE, known)
            for name in group.ids
        }
        assert planned == {name: candidates(host, snapshot, RULE) for name, host in snapshot.machines.items()}
        assert as_facts(known.see(snapshot.machines)) == as_facts(AlikeMachines().see(snapshot.machines))
        before = kept


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
