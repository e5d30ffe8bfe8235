"""Counting holders for many lanes at once gives what counting them one by one gives, and a standing is what plans go by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.machines import MachineDescription
from northstar.policy.routing.candidates import candidates
from northstar.policy.routing.explain_holders import HolderCounts, counted_holders, standing_of
from northstar.policy.routing.gpu_pace import NO_PACES, GpuPaces
from northstar.policy.routing.ranking_terms import RankingTerms
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import MachineState
from tests.policy.routing.builders import GB, cell, lane, machine

MODELS = ("a", "b", "c")
GPUS = ("NVIDIA L4", "NVIDIA H100 PCIe")
held = st.dictionaries(st.sampled_from(MODELS), st.sampled_from(["resident", "disk"]))
machines = st.lists(
    st.tuples(held, st.booleans(), st.sampled_from(["p", "other"]), st.sampled_from(GPUS)), min_size=1, max_size=12
)
anchors = st.sets(st.sampled_from(MODELS)).map(lambda names: tuple((name, 8 * GB) for name in sorted(names)))
paces = st.sampled_from([NO_PACES, GpuPaces({"l4": 4.0}), GpuPaces({"l4": 1.0, "h100": 0.3})])

Fleet = list[tuple[dict[str, str], bool, str, str]]


def states_of(fleet: Fleet) -> list[MachineState]:
    return [
        machine(f"m{number}", held=models, active=active, profile=profile, description=MachineDescription(gpu=gpu))
        for number, (models, active, profile, gpu) in enumerate(fleet)
    ]


@given(machines, anchors, paces)
def test_the_counts_are_those_of_policy(fleet: Fleet, asked: tuple[tuple[str, int], ...], known: GpuPaces) -> None:
    """Whatever machines hold, are and offer, and however fast they are."""
    states = states_of(fleet)
    fitting = [state for state in states if state.profile == "p"]
    ours = lane("l", anchors=asked)
    assert HolderCounts(cell(*states), known).of(ours) == counted_holders(fitting, ours, now_ms=0, paces=known)


@given(machines, anchors, paces)
def test_a_machine_is_told_to_leave_a_lane_to_others_for_as_long_as_its_plan_has_it(
    fleet: Fleet, asked: tuple[tuple[str, int], ...], known: GpuPaces
) -> None:
    """An explanation that went by other paces would tell of patience that no machine has."""
    states = states_of(fleet)
    ours = lane("l", anchors=asked, unfinished=1, waits=True, run_s=60.0)
    snapshot, rule = cell(*states, ours), PatienceRule()
    holders = HolderCounts(snapshot, known).of(ours)
    for one in states:
        if one.profile == "p" and one.takes_work:
            (planned,) = candidates(one, snapshot, rule, RankingTerms(paces=known))
            told = standing_of(one, ours, holders, rule, service="picture", now_ms=snapshot.now_ms, paces=known)
            assert told.wait_ms == planned.ready_after_ms
