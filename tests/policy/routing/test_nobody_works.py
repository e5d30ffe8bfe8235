"""Why no machine takes work and what would help first, and which lanes those that do cannot serve."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.machines import MachineDescription
from northstar.policy.routing.coming import ComingMachine
from northstar.policy.routing.nobody_works import NobodyWorks, unserved, why_nobody_works
from northstar.policy.routing.snapshot import MachineState
from tests.policy.routing.builders import cell, machine, profile, wanted

OUT = MachineDescription(takes_work=False, trouble="picture takes no work now: it died")
GONE = ComingMachine(name="local", profile=profile(), given_up="it died")


def why(*machines: MachineState, given_up: tuple[ComingMachine, ...] = ()) -> NobodyWorks | None:
    return why_nobody_works(cell(*machines), given_up)


def test_where_a_machine_takes_work_nothing_is_wrong() -> None:
    assert why(machine("a", active=False), machine("b"), given_up=(GONE,)) is None


def test_one_that_drains_needs_one_command_and_comes_first() -> None:
    found = why(machine("a", description=OUT), machine("c", active=False), machine("b", active=False))
    assert found == NobodyWorks(remedy="undrain", machine="b", count=2, because="it drains")


def test_one_whose_engines_are_out_is_to_be_mended_and_no_other_is_needed() -> None:
    found = why(machine("a", description=OUT), given_up=(GONE,))
    because = "its engine is out: picture takes no work now: it died"
    assert found == NobodyWorks(remedy="mend", machine="a", count=1, because=because)
    assert why(machine("a", slots=0)) == NobodyWorks(remedy="mend", machine="a", count=1, because="it has no slots")


def test_to_end_the_drain_of_one_whose_engines_are_out_would_not_help() -> None:
    found = why(machine("a", active=False, description=OUT), machine("b", description=OUT))
    assert found is not None
    assert (found.remedy, found.machine, found.count) == ("mend", "b", 2)
    alone = why(machine("a", active=False, description=MachineDescription(takes_work=False)))
    assert alone == NobodyWorks(remedy="mend", machine="a", count=1, because="it drains, and its engine is out")


def test_without_any_machine_one_that_was_given_up_comes_before_another_one() -> None:
    found = why(given_up=(GONE,))
    assert found == NobodyWorks(remedy="start_again", machine="local", count=1, because="it was given up: it died")
    assert why() == NobodyWorks(remedy="invite")


@pytest.mark.parametrize(
    ("subject", "stuck"),
    [
        (machine("m"), ["film"]),
        (machine("m", description=OUT), ["film", "picture"]),
        (machine("m", active=False), ["film", "picture"]),
        (machine("m", profile="of a newer version"), []),
    ],
)
def test_lanes_that_no_working_machine_serves_are_found(subject: MachineState, stuck: list[str]) -> None:
    lanes = [("film", wanted(service="film")), ("picture", wanted())]
    assert unserved(lanes, cell(subject)) == stuck


@pytest.mark.parametrize(
    ("changes", "status", "because"),
    [
        ({}, "active", ""),
        ({"active": False, "description": OUT}, "draining", ""),
        ({"description": OUT}, "out_of_work", "its engine is out: picture takes no work now: it died"),
        ({"description": MachineDescription(takes_work=False)}, "out_of_work", "its engine is out"),
        ({"slots": 0}, "out_of_work", "it has no slots"),
    ],
)
def test_how_a_machine_stands_has_a_word_and_a_reason(changes: dict[str, object], status: str, because: str) -> None:
    found = machine("m", **changes)
    assert (found.status, found.out_because) == (status, because)


states = st.builds(
    lambda active, takes_work, slots: machine(
        "?", active=active, slots=slots, description=MachineDescription(takes_work=takes_work)
    ),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1),
)


@given(st.lists(states, max_size=5))
def test_somebody_is_named_whenever_a_machine_is_here_and_none_works(hosts: list[MachineState]) -> None:
    named = [msgspec.structs.replace(host, id=f"m{number}") for number, host in enumerate(hosts)]
    found = why(*named)
    assert (found is None) == any(host.takes_work for host in named)
    if found is not None and named:
        assert found.machine in {host.id for host in named}
        assert found.because
