"""Machines that are on their way: "not yet" and "never" are told apart by what is known of them."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.policy.routing.coming import ComingMachine, on_their_way
from northstar.policy.routing.snapshot import CellSnapshot
from tests.policy.routing.builders import profile, wanted

EMPTY = CellSnapshot()
INVITED = ("service", "vram", "node_packs", "node_classes")


def soon(*names: str, untold: Any = (), needs: dict[str, Any] | None = None, **fields: Any) -> str:
    machines = [ComingMachine(name=name, profile=profile(**fields), untold=untold) for name in names]
    return on_their_way(wanted(**needs or {}), machines, EMPTY)


def test_a_machine_that_will_fit_is_waited_for() -> None:
    """Nobody need do anything."""
    assert soon("local") == "no machine that fits is ready yet; local is getting ready"
    assert soon("d", "c", "b", "a") == ("no machine that fits is ready yet; 4 machines are getting ready (a, b, c, …)")


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"pools": ("fast",)}, {}),
        ({"services": ("text",)}, {}),
        ({"vram_mb": 0}, {"vram_mb": 8_000}),
        ({"dedicated_to": "acme"}, {}),
        ({}, {"tags": ("eu",)}),
    ],
)
def test_one_that_cannot_whatever_its_engines_say_is_not(fields: dict[str, Any], needs: dict[str, Any]) -> None:
    """It would be a false hope."""
    assert soon("local", needs=needs, **fields) == ""


def test_what_only_its_engines_and_its_hardware_can_tell_is_left_open_and_said() -> None:
    """A machine with an invite has said nothing of itself but its name."""
    told = soon("new", untold=INVITED, needs={"vram_mb": 8_000}, services=("untold",), vram_mb=0)
    assert told == (
        "no machine that fits is ready yet; new is getting ready; "
        "whether it offers service picture and has 8000 MB of VRAM is known then"
    )
    assert soon("new", untold=INVITED, pools=("fast",)) == "", "its pool is known"
