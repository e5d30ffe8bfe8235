"""What time, clients and operators do to jobs that are there: expiry, cancel, priorities, dead letters, history, lists."""

from __future__ import annotations

import pytest

from tests.store.queue.builders import Shop, a_job
from tests.store.queue.calls import Refused

# tick ---------------------------------------------------------------------------------------------------------------


def test_an_expired_lease_returns_the_job_to_the_front_and_counts_a_recovery(shop: Shop) -> None:
    shop.submit("a", "b")
    shop.lease()
    shop.later(29_999)
    shop.tick()
    assert shop.status("a") == "running"
    shop.later(1)
    shop.tick()
    assert (shop.status("a"), shop.job("a").get("recoveries"), shop.job("a").get("attempts")) == ("queued", 1, 0)
    assert shop.take() == ["a"]


def test_a_job_that_loses_more_machines_than_it_may_is_a_dead_letter(shop: Shop) -> None:
    shop.submit(a_job("a", max_recoveries=1))
    for _ in range(2):
        shop.lease()
        shop.later(30_000)
        shop.tick()
    assert (shop.status("a"), shop.job("a").get("error_code")) == ("failed", "NS_MACHINES_LOST")


def test_a_job_not_started_in_time_expires_and_one_that_started_does_not(shop: Shop) -> None:
    shop.submit(a_job("a", start_within_ms=5_000), a_job("b", start_within_ms=5_000))
    assert shop.take() == ["a"]
    shop.later(5_000)
    shop.tick()
    assert (shop.status("a"), shop.status("b")) == ("running", "expired")
    assert shop.job("b").get("error_code") == "NS_NOT_STARTED_IN_TIME"


def test_a_job_not_finished_in_time_expires_wherever_it_is(shop: Shop) -> None:
    shop.submit(a_job("a", finish_within_ms=5_000), a_job("b", finish_within_ms=5_000))
    job, token = shop.lease()
    shop.later(5_000)
    shop.tick()
    assert (shop.status("a"), shop.status("b")) == ("expired", "expired")
    assert shop.complete(job, token) == "NS_JOB_FINISHED"


def test_a_finished_job_is_forgotten_after_its_retention_and_not_before_the_history_has_it(shop: Shop) -> None:
    shop.submit(a_job("a", retention_ms=5_000, idempotency_key="k", digest="d"))
    shop.complete(*shop.lease())
    shop.later(5_000)
    shop.tick()
    assert shop.status("a") == "succeeded"
    shop.commit_events()
    shop.later(1_000)
    shop.tick()
    assert shop.look("a") is None
    assert shop.submit(a_job("b", idempotency_key="k", digest="d")) == {"jobs": [["b", False]]}


def test_a_tick_keeps_to_its_budget_and_says_that_there_is_more(shop: Shop) -> None:
    shop.submit(*(str(number) for number in range(5)))
    shop.take(5)
    shop.later(30_000)
    assert [shop.tick(budget=2)["more"] for _ in range(3)] == [True, True, False]
    assert shop.statistics()["counts"]["waiting_size"] == 5


def test_a_tick_says_when_the_next_is_due(shop: Shop) -> None:
    shop.submit(a_job("a", start_within_ms=400))
    assert shop.tick()["next_due_ms"] == shop.cell.now_ms + 400
    shop.cancel("a")
    assert shop.tick()["next_due_ms"] == shop.cell.now_ms + 1_000


# cancel, reprioritise, replay ---------------------------------------------------------------------------------------


def test_a_cancel_reaches_a_job_wherever_it_is_and_nothing_revives_it(shop: Shop) -> None:
    shop.submit("running", "delayed", "offered", "queued")
    shop.lease()
    shop.fail(*shop.lease())
    assert shop.cancel("running", "delayed", "offered", "queued") == ["canceled"] * 4
    shop.later(100_000)
    shop.tick()
    assert shop.cancel("queued", "nobody") == ["already", "NS_NO_SUCH_JOB"]
    assert shop.statistics()["counts"]["live"] == 0


def test_a_job_that_has_ended_cannot_be_canceled(shop: Shop) -> None:
    shop.submit("a")
    shop.complete(*shop.lease())
    assert shop.cancel("a") == ["NS_JOB_FINISHED"]


def test_a_higher_priority_goes_first_and_a_job_that_has_started_keeps_its_own(shop: Shop) -> None:
    shop.submit("a", "b", "c")
    shop.lease()
    reply = shop.cell.call("reprioritise", jobs=["a", "c", "nobody"], priority=200)
    assert reply["jobs"] == [["a", "NS_JOB_STARTED"], ["c", "ok"], ["nobody", "NS_NO_SUCH_JOB"]]
    assert shop.take(2) == ["c", "b"]


def test_a_dead_letter_replayed_begins_anew(shop: Shop) -> None:
    shop.submit("a", "b")
    shop.fail(*shop.lease(), retryable=False)
    wanted = [{"id": name, "lane": shop.lane()} for name in ("a", "b", "nobody")]
    reply = shop.cell.call("replay", nonce="n", jobs=wanted)
    assert reply["jobs"] == [["a", "ok"], ["b", "NS_NOT_DEAD"], ["nobody", "NS_NO_SUCH_JOB"]]
    assert (shop.job("a").get("attempts"), shop.job("a").get("error_code")) == (0, "")
    assert sorted(shop.take(2)) == ["a", "b"]


def test_a_dead_letter_whose_lane_is_gone_can_still_be_replayed_and_served(shop: Shop) -> None:
    shop.submit("a")
    shop.fail(*shop.lease(), retryable=False)
    shop.later(60_000)
    shop.tick()
    assert shop.statistics()["lanes"] == []
    shop.register()
    shop.cell.call("replay", nonce="n", jobs=[{"id": "a", "lane": shop.lane()}])
    assert shop.take() == ["a"]


def test_a_dead_letter_is_kept_for_its_own_time(shop: Shop) -> None:
    shop.submit(a_job("a", retention_ms=1))
    shop.fail(*shop.lease(), retryable=False)
    shop.commit_events()
    shop.later(599_999)
    shop.tick()
    assert shop.status("a") == "failed"
    shop.later(1)
    shop.tick()
    assert shop.look("a") is None


# events_committed ---------------------------------------------------------------------------------------------------


def test_only_events_that_the_history_has_are_dropped_from_the_stream(shop: Shop) -> None:
    shop.submit("a", "b", "c")
    assert shop.cell.call("events_committed", epoch=1, event=2) == {"backlog": 2}
    assert [event.number for event in shop.cell.events()] == [3, 4]
    with pytest.raises(Refused, match="NS_BAD_ARGUMENT field=event"):
        shop.cell.call("events_committed", epoch=1, event=5)


def test_events_of_an_earlier_epoch_stay_until_the_history_has_them(shop: Shop) -> None:
    shop.submit("a", "b", "c")
    shop.cell.open(server="another")
    shop.cancel("a")
    shop.cell.call("events_committed", epoch=2, event=2)
    assert [(event.epoch, event.number) for event in shop.cell.events()] == [(1, 3), (1, 4), (2, 5)]


def test_a_late_word_of_an_earlier_epoch_commits_nothing_of_this_one(shop: Shop) -> None:
    """The server that was lost had more events; their numbers have been given again."""
    shop.submit("a")
    shop.cell.open(server="another")
    shop.cancel("a")
    assert shop.cell.call("events_committed", epoch=1, event=3) == {"backlog": 1}
    assert [event.kind for event in shop.cell.events()] == ["job.canceled"]


# list_jobs and inspect ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", ["waiting", "leases", "dead"])
def test_a_list_pages_through_every_job_once(shop: Shop, index: str) -> None:
    names = [f"j{number}" for number in range(7)]
    shop.submit(*names)
    if index != "waiting":
        tokens = [job[:2] for job in shop.claim(7)["jobs"]]
    if index == "dead":
        for job, token in tokens:
            shop.fail(job, token, retryable=False)
    found, after = list[str](), ""
    for _ in range(10):
        page = shop.cell.call("list_jobs", index=index, after=after, count=3)
        found, after = found + page["jobs"], page["after"]
        if not after:
            break
    assert sorted(found) == names
