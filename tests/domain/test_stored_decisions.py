"""Decisions as they are kept with jobs: short, bounded, and readable by those who come later."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.decisions import ExpectedOn, MachinesThen, Rejection, RoutingDecision, TurnedDown
from northstar.domain.estimates import DurationEstimate
from northstar.domain.stored_decisions import MAX_MACHINES_BYTES, read_stored, to_stored

DECISION = RoutingDecision(
    pool="fast-lane",
    route="fallback",
    optimal="standard",
    row="standard",
    because="it is a picture",
    estimate=DurationEstimate(p10_s=8, p50_s=10, p90_s=14, source="shape", confidence=0.7, runs=9, gpu_class="l4"),
    rejected=(Rejection(subject="standard", code="no-machine", reason="no machine fits", count=3),),
    fit_machines=2,
    holders=1,
    shape="2e16",
    modalities=("image",),
    work=20.5,
    notes=("a note",),
    coming="local is getting ready",
    machines=MachinesThen(
        best=(
            ExpectedOn(machine="a", fetch_s=42.1, load_s=2.5, run_s=10.0),
            ExpectedOn(machine="b", run_s=10.0, left_to_engine=True),
        ),
        more_fit=3,
        turned_down=(TurnedDown(code="pool", count=2, names=("c", "d"), says="is in pool heavy, not fast-lane"),),
        more_turned_down=4,
    ),
)


def test_a_decision_comes_back_as_it_was() -> None:
    """With every part, also as a type: a program compares it with others."""
    assert read_stored(to_stored(DECISION)) == DECISION
    plain = msgspec.structs.replace(DECISION, machines=None, rejected=())
    assert read_stored(to_stored(plain)) == plain


def test_one_that_was_written_by_name_is_still_read() -> None:
    """As earlier versions did, which knew nothing of machines."""
    text = (
        '{"pool":"fast","route":"fallback","optimal":"lightning","row":"text","because":"it is text",'
        '"estimate":{"p10_s":1.0,"p50_s":2.0,"p90_s":3.0,"source":"model","confidence":0.5,"runs":0,"gpu_class":""},'
        '"rejected":[{"subject":"lightning","code":"no-machine","reason":"no machine fits"}],"work":800.0}'
    )
    found = read_stored(text)
    assert (found.pool, found.estimate.p50_s, found.rejected[0].code, found.work) == ("fast", 2.0, "no-machine", 800.0)
    assert found.machines is None


def test_one_that_knew_nothing_of_engines_that_must_have_a_model_is_still_read() -> None:
    """What a machine's times were is written by position too, and was shorter."""
    written = msgspec.json.decode(to_stored(DECISION))
    (machines,) = [part for part in written if isinstance(part, list) and len(part) == 4 and part[1:2] == [3]]
    machines[0] = [one[:5] for one in machines[0]]
    found = read_stored(msgspec.json.encode(written).decode())
    assert found.machines is not None
    assert [(one.machine, one.run_s, one.left_to_engine) for one in found.machines.best] == [
        ("a", 10.0, False),
        ("b", 10.0, False),
    ]


def test_what_a_newer_version_adds_at_the_end_is_passed_over() -> None:
    """So that two versions can run side by side."""
    longer = msgspec.json.encode([*msgspec.json.decode(to_stored(DECISION)), "more"]).decode()
    assert read_stored(longer) == DECISION


@pytest.mark.parametrize("text", ["", "{", "[]", '["heavy"]', "of another kind"])
def test_what_is_no_decision_is_refused(text: str) -> None:
    """Whoever asks decides what that means."""
    with pytest.raises(msgspec.MsgspecError):
        read_stored(text)


names = st.lists(st.text("abcdef-0123456789", min_size=1, max_size=128), min_size=1, max_size=2).map(tuple)
groups = st.builds(
    TurnedDown,
    code=st.sampled_from(["pool", "pool+vram", "node_classes"]),
    count=st.integers(1, 10_000),
    names=names,
    says=st.text("abc ", max_size=160),
)
best = st.builds(ExpectedOn, machine=st.text("abc", min_size=1, max_size=128), run_s=st.floats(0, 1e6))
fleets = st.builds(
    MachinesThen,
    best=st.lists(best, max_size=3).map(tuple),
    more_fit=st.integers(0, 10_000),
    turned_down=st.lists(groups, max_size=4).map(tuple),
    more_turned_down=st.integers(0, 10_000),
)


@given(fleets)
def test_what_it_tells_of_machines_is_bounded_and_leaves_none_uncounted(machines: MachinesThen) -> None:
    """A fleet of strangers may be called anything."""
    kept = read_stored(to_stored(msgspec.structs.replace(DECISION, machines=machines))).machines
    assert kept is not None
    part = to_stored(msgspec.structs.replace(DECISION, machines=machines))
    without = to_stored(msgspec.structs.replace(DECISION, machines=None))
    assert len(part.encode()) - len(without.encode()) <= MAX_MACHINES_BYTES
    assert len(kept.best) + kept.more_fit == len(machines.best) + machines.more_fit
    assert _down(kept) == _down(machines)
    assert kept.best == machines.best[: len(kept.best)], "the chosen one goes last"


def _down(machines: MachinesThen) -> int:
    return sum(group.count for group in machines.turned_down) + machines.more_turned_down
