"""Counting holders for many lanes at once gives what counting them one by one gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.routing.explain_holders import HolderCounts, counted_holders
from northstar.policy.routing.snapshot import MachineState
from tests.policy.routing.builders import cell, lane, machine

MODELS = ("a", "b", "c")
held = st.dictionaries(st.sampled_from(MODELS), st.sampled_from(["resident", "disk"]))
machines = st.lists(st.tuples(held, st.booleans(), st.sampled_from(["p", "other"])), max_size=12)
anchors = st.sets(st.sampled_from(MODELS)).map(lambda names: tuple((name, 1) for name in sorted(names)))


@given(machines, anchors)
def test_the_counts_are_those_of_policy(
    fleet: list[tuple[dict[str, str], bool, str]], asked: tuple[tuple[str, int], ...]
) -> None:
    """Whatever machines hold, are and offer."""
    states: list[MachineState] = [
        machine(f"m{number}", held=models, active=active, profile=profile)
        for number, (models, active, profile) in enumerate(fleet)
    ]
    fitting = [state for state in states if state.profile == "p"]
    ours = lane("l", anchors=asked)
    assert HolderCounts(cell(*states)).of(ours) == counted_holders(fitting, ours, now_ms=0)
