"""A job moves to another cell in three steps, each of which may be repeated after a crash."""

from __future__ import annotations

from typing import Any

import pytest

from tests.store.queue.builders import Shop, a_job
from tests.store.queue.calls import Cell, Server


@pytest.fixture
def target(server: Server) -> Shop:
    return Shop(Cell(server))


def set_out(source: Shop, target: Shop, *jobs: str, transfer: str = "x") -> list[dict[str, Any]]:
    wanted = [{"id": job, "transfer": transfer} for job in jobs]
    reply = source.cell.call("transfer_out", jobs=wanted, target=target.cell.name)
    return [
        {"id": job, "transfer": chosen, "record": record, "body": body, "lane": target.lane()}
        for job, _, chosen, record, body, _ in reply["jobs"]
    ]


def bring_in(target: Shop, moved: list[dict[str, Any]]) -> list[str]:
    return [outcome[1] for outcome in target.cell.call("transfer_in", nonce=target.nonce(), jobs=moved)["jobs"]]


def conclude(source: Shop, moved: list[dict[str, Any]]) -> list[str]:
    jobs = [{"id": job["id"], "transfer": job["transfer"]} for job in moved]
    return [outcome[1] for outcome in source.cell.call("transfer_done", jobs=jobs)["jobs"]]


def test_a_moved_job_waits_in_the_other_cell_with_its_age_and_leaves_a_pointer(shop: Shop, target: Shop) -> None:
    shop.submit(a_job("a", body="[1]"))
    target.later(5_000)
    moved = set_out(shop, target, "a")
    assert (shop.status("a"), shop.take()) == ("leaving", [])
    assert (bring_in(target, moved), conclude(shop, moved)) == (["ok"], ["ok"])
    pointer, job = shop.job("a"), target.job("a")
    assert (pointer.get("status"), pointer.get("machine"), pointer.body) == ("moved", target.cell.name, "")
    assert (job.get("submitted_ms"), job.body) == (shop.cell.now_ms, "[1]")
    assert target.take() == ["a"]


def test_every_step_may_be_repeated(shop: Shop, target: Shop) -> None:
    shop.submit("a")
    moved = set_out(shop, target, "a", transfer="first")
    assert set_out(shop, target, "a", transfer="second")[0]["transfer"] == "first"
    assert [bring_in(target, moved), bring_in(target, moved)] == [["ok"], ["replayed"]]
    assert [conclude(shop, moved), conclude(shop, moved)] == [["ok"], ["replayed"]]
    target.complete(*target.lease())
    assert bring_in(target, moved) == ["replayed"]
    assert target.statistics()["counts"]["live"] == 0


def test_jobs_that_travel_under_one_transfer_id_all_arrive(shop: Shop, target: Shop) -> None:
    shop.submit("a", "b")
    moved = set_out(shop, target, "a", "b", transfer="together")
    assert bring_in(target, moved) == ["ok", "ok"]
    assert sorted(target.take(2)) == ["a", "b"]


def test_a_job_can_come_back_to_the_cell_that_it_left(shop: Shop, target: Shop) -> None:
    shop.submit("a")
    moved = set_out(shop, target, "a", transfer="there")
    bring_in(target, moved)
    conclude(shop, moved)
    back = set_out(target, shop, "a", transfer="back")
    assert (bring_in(shop, back), conclude(target, back)) == (["ok"], ["ok"])
    assert shop.take() == ["a"]
    assert conclude(shop, moved) == ["NS_NOT_IN_TRANSFER"], "a late repeat of the first journey changes nothing"
    shop.commit_events()
    shop.later(300_000)
    shop.tick()
    assert shop.status("a") == "queued", "the retention of the pointer is not the job's"


def test_events_of_a_job_are_numbered_over_both_cells_without_meeting(shop: Shop, target: Shop) -> None:
    shop.submit("a")
    moved = set_out(shop, target, "a")
    bring_in(target, moved)
    conclude(shop, moved)
    events = [*shop.cell.events("a"), *target.cell.events("a")]
    assert [(event.kind, event.job_number) for event in events] == [
        ("job.submitted", 1),
        ("job.leaving", 2),
        ("job.moved", 3),
        ("job.arrived", 4),
    ]


def test_a_job_from_a_cell_whose_clock_is_ahead_is_as_old_as_its_arrival(shop: Shop, target: Shop) -> None:
    shop.later(50_000)
    shop.submit("a")
    moved = set_out(shop, target, "a")
    bring_in(target, moved)
    target.submit("b", lane=target.lane(on=()))
    assert target.job("a").get("submitted_ms") == target.cell.now_ms
    target.later(60_000)
    assert target.take(2) == ["a", "b"]


def test_only_a_waiting_job_can_leave(shop: Shop, target: Shop) -> None:
    shop.submit("running", "done", "waiting")
    shop.lease()
    shop.complete(*shop.lease())
    wanted = [{"id": job, "transfer": "x"} for job in ("running", "done", "nobody", "waiting")]
    outcomes = [job[1] for job in shop.cell.call("transfer_out", jobs=wanted, target="b")["jobs"]]
    assert outcomes == ["NS_JOB_STARTED", "NS_JOB_FINISHED", "NS_NO_SUCH_JOB", "ok"]
    again = shop.cell.call("transfer_out", jobs=wanted[3:], target="c")["jobs"]
    assert again == [["waiting", "NS_JOB_IN_TRANSFER"]]
    assert shop.cancel("waiting") == ["NS_JOB_IN_TRANSFER"]


def test_a_job_on_its_way_does_not_count_twice_and_its_deadline_travels(shop: Shop, target: Shop) -> None:
    shop.submit(a_job("a", finish_within_ms=5_000))
    moved = set_out(shop, target, "a")
    bring_in(target, moved)
    conclude(shop, moved)
    assert (shop.statistics()["counts"]["live"], target.statistics()["counts"]["live"]) == (0, 1)
    target.later(5_000)
    target.tick()
    assert target.status("a") == "expired"


def test_a_job_that_waits_on_its_way_is_not_lost_with_its_deadline(shop: Shop, target: Shop) -> None:
    shop.submit(a_job("a", start_within_ms=5_000))
    moved = set_out(shop, target, "a")
    shop.later(9_000)
    shop.tick()
    assert shop.status("a") == "leaving"
    bring_in(target, moved)
    target.later(9_000)
    target.tick()
    assert target.status("a") == "expired"


def test_the_cell_remembers_no_word_that_it_does_not_know(shop: Shop, target: Shop) -> None:
    shop.submit("a")
    moved = set_out(shop, target, "a")
    moved[0]["lane"] |= {"words": ["model:unheard-of"]}
    assert bring_in(target, moved) == ["NS_UNKNOWN_WORD"]
    assert shop.status("a") == "leaving", "it stays where it was until somebody takes it back"


def give_up(source: Shop, moved: list[dict[str, Any]]) -> list[str]:
    jobs = [{"id": job["id"], "transfer": job["transfer"], "because": "refused"} for job in moved]
    reply = source.cell.call("transfer_abort", nonce=source.nonce(), jobs=jobs)
    return [outcome[1] for outcome in reply["jobs"]]


def settle(target: Shop, moved: list[dict[str, Any]]) -> None:
    target.cell.call("transfer_settled", jobs=[{"id": job["id"], "transfer": job["transfer"]} for job in moved])


def test_a_refused_job_waits_again_where_it_was_with_its_deadlines(shop: Shop, target: Shop) -> None:
    shop.submit(a_job("a", finish_within_ms=60_000))
    target.submit(a_job("a", body="another"))
    moved = set_out(shop, target, "a")
    shop.later(60_000)
    shop.tick()
    assert bring_in(target, moved) == ["NS_JOB_EXISTS"]
    assert give_up(shop, moved) == ["ok"]
    assert give_up(shop, moved) == ["NS_NOT_IN_TRANSFER"]
    assert shop.status("a") == "queued"
    shop.tick()
    assert shop.status("a") == "expired", "the deadline came while it was on its way"


def test_a_transfer_that_was_refused_once_stays_refused(shop: Shop, target: Shop) -> None:
    """The source has taken the job back; a late repetition must not bring it here as well."""
    shop.submit("a")
    moved = set_out(shop, target, "a")
    unknown = [moved[0] | {"lane": moved[0]["lane"] | {"key": "new", "words": ["model:unheard-of"]}}]
    assert bring_in(target, unknown) == ["NS_UNKNOWN_WORD"]
    give_up(shop, moved)
    assert bring_in(target, moved) == ["NS_TRANSFER_REFUSED"]
    assert (shop.status("a"), target.statistics()["counts"]["live"]) == ("queued", 0)


def test_an_arrival_is_remembered_until_it_is_settled(shop: Shop, target: Shop) -> None:
    """However late the first step is repeated: the job was here, even when it is finished and forgotten."""
    shop.submit("a")
    moved = set_out(shop, target, "a")
    bring_in(target, moved)
    target.later(7 * 86_400_000)
    assert bring_in(target, moved) == ["replayed"]
    conclude(shop, moved)
    settle(target, moved)
    assert target.cell.node.zcard(target.cell.keys["arrivals"]) == 0


def test_a_cell_that_is_full_refuses_arrivals(shop: Shop, target: Shop) -> None:
    shop.submit("a")
    target.cell.open({"max_jobs": 1}, configure=True)
    target.submit("b")
    assert bring_in(target, set_out(shop, target, "a")) == ["NS_CELL_FULL"]
