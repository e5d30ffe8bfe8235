"""What policy says about a lane comes with the jobs: a lane born in a call is served in that call."""

from __future__ import annotations

import pytest

from tests.store.library.rig import Cell
from tests.store.library.scenarios import FAST, Request, a_job, a_machine, of

BORN = FAST | {"placements": [["m1", 0, 0]]}


@pytest.fixture
def parked(cell: Cell) -> Cell:
    """A cell with one machine, which waits for work and has no candidates yet."""
    cell.open()
    cell.call("declare", words=["model:a", "service:s"], by="me", withdraw=False)
    cell.call("register_machine", **a_machine("m1"))
    cell.call("claim", **of("m1", credits=1, nonce="park", park=True))
    return cell


def status(cell: Cell, name: str) -> str:
    return str(cell.call("inspect", jobs=[name], bodies=False, results=False)["jobs"][0][1][0])


def test_a_job_that_makes_its_lane_is_handed_to_a_parked_machine_at_once(parked: Cell) -> None:
    parked.call("submit", nonce="n", lanes=[BORN], jobs=[a_job("first")])
    assert status(parked, "first") == "offered"


def test_a_job_that_arrives_from_another_cell_is_handed_over_at_once(cell: Cell, parked: Cell) -> None:
    parked.call("transfer_in", nonce="n", jobs=[arriving(parked)])
    assert status(parked, "moved") == "offered"


def test_a_class_that_arrives_from_another_cell_is_decided_so_that_its_jobs_become_overdue_somewhere(
    parked: Cell,
) -> None:
    moved = arriving(parked)
    parked.call("transfer_in", nonce="n", jobs=[moved | {"lane": FAST | {"placements": []}}])
    assert status(parked, "moved") == "queued"
    parked.now_ms += 61_000
    parked.call("register_machine", **a_machine("m1"))
    reply = parked.call("claim", **of("m1", credits=1, nonce="later", park=True))
    assert [job[0] for job in reply["jobs"]] == ["moved"]


def arriving(cell: Cell) -> Request:
    """A job of another cell, as that cell gives it."""
    other = Cell(cell.server)
    other.open()
    other.call("declare", words=["model:a", "service:s"], by="me", withdraw=False)
    other.call("submit", nonce="n", lanes=[FAST | {"placements": []}], jobs=[a_job("moved")])
    (answer,) = other.call("transfer_out", jobs=[{"id": "moved", "transfer": "tr-1"}], target=cell.name)["jobs"]
    other.forget()
    name, word, transfer, record, body, _ = answer
    assert word == "ok"
    return {"id": name, "transfer": transfer, "record": record, "body": body, "lane": BORN}


def test_a_dead_letter_whose_lane_is_gone_is_handed_over_at_once(parked: Cell) -> None:
    parked.call("submit", nonce="n", lanes=[BORN], jobs=[a_job("first")])
    (job,) = parked.call("claim", **of("m1", credits=1, nonce="c", park=False))["jobs"]
    failure = {"code": "E", "message": "m", "retryable": False, "jitter": 0}
    parked.call("fail", **of("m1", jobs=[{"id": job[0], "token": job[1], **failure}]))
    parked.now_ms += 120_000
    parked.call("tick", nonce="t", budget=500)
    parked.call("register_machine", **a_machine("m1"))
    parked.call("claim", **of("m1", credits=1, nonce="again", park=True))
    assert parked.call("statistics", lanes=500, after="")["lanes"] == []
    parked.call("replay", nonce="r", jobs=[{"id": "first", "lane": BORN}])
    assert status(parked, "first") == "offered"
