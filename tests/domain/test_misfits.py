"""Data that does not fit its type: the place, the key, the nearest name that is known, and the list where it is short."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from northstar.domain.misfits import Misfit, misfit


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    vram_mb: int = 0
    colour: Literal["red", "green"] = "red"


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    lease_ms: int = 0
    needs: Inner = Inner()
    parts: list[Inner] = []


def of(given: Any) -> Misfit:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(given, Outer)
    return misfit(caught.value, Outer, what="field")


@pytest.mark.parametrize(
    ("given", "path", "problem"),
    [
        ({"name": "n", "leese_ms": 1}, "leese_ms", "is no field; did you mean `lease_ms`?"),
        ({"name": "n", "needs": {"vram": 1}}, "needs.vram", "is no field; did you mean `vram_mb`?"),
        ({"name": "n", "vram_mb": 1}, "vram_mb", "is no field; did you mean `needs.vram_mb`?"),
        ({"name": "n", "needs": {"zzz": 1}}, "needs.zzz", "is no field; take it out; known are vram_mb, colour"),
        ({"name": "n", "parts": [{}, {"vrem_mb": 1}]}, "parts[1].vrem_mb", "is no field; did you mean `vram_mb`?"),
        ({}, "name", "is missing; add it"),
        ({"name": 3}, "name", "is not possible: text is wanted, and this is a whole number"),
        (
            {"name": "n", "needs": {"colour": "blue"}},
            "needs.colour",
            "is not possible: 'blue' is no choice; it is one of red, green",
        ),
    ],
)
def test_the_place_and_what_to_write_there_are_named(given: Any, path: str, problem: str) -> None:
    found = of(given)
    assert (found.path, found.problem) == (path, problem)
