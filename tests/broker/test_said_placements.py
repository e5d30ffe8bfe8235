"""A submission says of a lane's ranking what the cell would not have without it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from northstar.broker import said_placements
from northstar.broker.said_placements import not_said_yet
from northstar.domain.errors import Unavailable
from northstar.store.cell import Cell
from northstar.store.messages import Candidate, Placement, WantedLane
from tests.policy.routing.builders import cell, lane, machine

CELL = cast("Cell", type("Unasked", (), {"client": None, "keys": None}))
FLEET = cell(machine("free"), machine("busy", used=1, slots=1), lane("l"))


def wanted(*placements: Placement, key: str = FLEET.lanes["l"].key) -> WantedLane:
    return WantedLane(key=key, class_="c", pool="", vram_mb=0, words=(), placements=placements)


async def said(standing: dict[str, Candidate], *placements: Placement, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    async def read(_client: object, _keys: object, machines: Any) -> dict[str, dict[str, Candidate]]:
        assert machines == {"l": [one.machine for one in placements]}
        return {"l": standing}

    monkeypatch.setattr(said_placements, "read_standing", read)
    (told,) = await not_said_yet(CELL, [wanted(*placements)], FLEET)
    return [one.machine for one in told.placements]


async def test_what_stands_is_not_said_again_unless_the_wait_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = {"free": Candidate("l", 6_000, 8), "busy": Candidate("l", 6_000, 8)}
    near, far = Placement("free", 6_100, 8), Placement("busy", 3_000, 8)
    assert await said(standing, near, far, monkeypatch=monkeypatch) == ["busy"]
    assert await said({}, near, far, monkeypatch=monkeypatch) == ["free", "busy"]


async def test_another_preference_is_said_of_a_machine_that_waits_for_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one at work it moves with every second of its run, and is compared with others' only once the machine waits."""
    standing = {"free": Candidate("l", 0, 8), "busy": Candidate("l", 0, 8)}
    placements = (Placement("free", 0, 16), Placement("busy", 0, 800))
    assert await said(standing, *placements, monkeypatch=monkeypatch) == ["free"]


async def test_of_a_lane_that_the_view_does_not_know_all_is_said_and_nothing_asked() -> None:
    new = wanted(Placement("free", 0), key="another")
    assert await not_said_yet(CELL, [new], FLEET) == [new]


async def test_where_the_cell_cannot_be_asked_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> object:
        raise Unavailable("the server does not answer")

    monkeypatch.setattr(said_placements, "read_standing", fails)
    known = wanted(Placement("free", 0))
    assert await not_said_yet(CELL, [known], FLEET) == [known]
