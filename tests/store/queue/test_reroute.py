"""Waiting jobs go to another lane of their cell, and keep their turn; what sent them there is kept with them."""

from __future__ import annotations

from tests.store.queue.builders import Shop, a_job
from tests.store.queue.calls import Reply


def reroute(shop: Shop, *jobs: str, to: Reply, seen_in: str | None = None, decision: str = "") -> list[str]:
    wanted = [
        {"id": job, "from": seen_in or str(shop.job(job).get("lane")), "lane": 1, "decision": decision} for job in jobs
    ]
    reply = shop.cell.call("reroute", nonce=shop.nonce(), because="nobody is there", lanes=[to], jobs=wanted)
    return [outcome[1] for outcome in reply["jobs"]]


def test_a_job_that_waits_where_nobody_serves_it_is_taken_in_its_new_lane(shop: Shop) -> None:
    shop.submit("a", lane=shop.lane("empty", on=(), fits=[[shop.profile, False]]))
    assert shop.take() == []
    assert reroute(shop, "a", to=shop.lane("served", pool="heavy")) == ["ok"]
    assert shop.take() == ["a"]


def test_a_parked_machine_is_handed_the_job_in_the_same_call(shop: Shop) -> None:
    shop.submit("a", lane=shop.lane("empty", on=(), fits=[[shop.profile, False]]))
    shop.park()
    reroute(shop, "a", to=shop.lane("served"))
    assert shop.status("a") == "offered"


def test_it_keeps_its_age_and_its_turn(shop: Shop) -> None:
    shop.submit("old", lane=shop.lane("empty", on=(), fits=[[shop.profile, False]]))
    shop.later(5_000)
    shop.submit("young", lane=shop.lane("served"))
    before = shop.job("old").get("submitted_ms")
    reroute(shop, "old", to=shop.lane("served"))
    assert shop.job("old").get("submitted_ms") == before
    assert shop.take(2) == ["old", "young"]


def test_a_job_that_came_back_still_goes_first(shop: Shop) -> None:
    shop.submit("first", "second")
    job, token = shop.lease()
    shop.release(job, token)
    urgent = a_job("urgent", priority=255)
    shop.submit(urgent, lane=shop.lane("other"))
    reroute(shop, job, to=shop.lane("other"))
    assert shop.take(2) == ["first", "urgent"]


def test_a_pausing_job_returns_to_the_new_lane_when_its_pause_is_over(shop: Shop) -> None:
    shop.submit("a", lane=shop.lane("one"))
    shop.fail(*shop.lease())
    assert reroute(shop, "a", to=shop.lane("two")) == ["ok"]
    shop.later(2_000)
    shop.tick()
    assert shop.job("a").lane == "two"
    assert shop.take() == ["a"]


def test_running_and_finished_jobs_stay(shop: Shop) -> None:
    shop.submit("runs", "ends")
    shop.claim(1)
    shop.complete(*shop.lease())
    assert reroute(shop, "runs", "ends", to=shop.lane("other")) == ["NS_JOB_STARTED", "NS_JOB_FINISHED"]


def test_an_unknown_job_and_one_that_is_there_already_change_nothing(shop: Shop) -> None:
    shop.submit("a")
    assert reroute(shop, "a", to=shop.lane()) == ["same"]
    assert reroute(shop, "b", to=shop.lane(), seen_in="000001") == ["NS_NO_SUCH_JOB"]


def test_whoever_comes_second_finds_it_moved(shop: Shop) -> None:
    shop.submit("a", lane=shop.lane("one"))
    seen = str(shop.job("a").get("lane"))
    assert reroute(shop, "a", to=shop.lane("two"), seen_in=seen) == ["ok"]
    assert reroute(shop, "a", to=shop.lane("three"), seen_in=seen) == ["NS_LANE_CHANGED"]
    assert shop.job("a").lane == "two"


def test_a_refused_move_leaves_no_lane_behind(shop: Shop) -> None:
    shop.submit("a")
    shop.claim(1)
    before = shop.statistics()["counts"]
    reroute(shop, "a", to=shop.lane("other"))
    assert [lane[1] for lane in shop.statistics()["lanes"]] == ["lane"]
    assert shop.statistics()["counts"]["live"] == before["live"]


def test_the_decision_comes_with_the_job_and_changes_with_the_move(shop: Shop) -> None:
    shop.submit(a_job("a", decision='{"pool":"fast"}'), lane=shop.lane("one"))
    assert shop.job("a").decision == '{"pool":"fast"}'
    reroute(shop, "a", to=shop.lane("two"), decision='{"pool":"heavy"}')
    assert shop.job("a").decision == '{"pool":"heavy"}'
    reroute(shop, "a", to=shop.lane("one"))
    assert shop.job("a").decision == '{"pool":"heavy"}'


def test_the_decision_is_forgotten_with_the_job(shop: Shop) -> None:
    shop.submit(a_job("a", decision="{}"))
    shop.complete(*shop.lease())
    shop.commit_events()
    shop.later(301_000)
    shop.tick()
    assert shop.look("a") is None
    shop.submit("a")
    assert shop.job("a").decision == ""
