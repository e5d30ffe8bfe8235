"""What submitting, claiming and ending a lease promise, by example. Upkeep, machines, order and transfers have pages of their own."""

from __future__ import annotations

import pytest

from tests.store.queue.builders import Shop, a_job
from tests.store.queue.calls import Refused

# submit -------------------------------------------------------------------------------------------------------------


def test_a_submitted_job_waits_and_says_so_in_one_event(shop: Shop) -> None:
    assert shop.submit("a") == {"jobs": [["a", False]]}
    assert (shop.status("a"), shop.job("a").body) == ("queued", "{}")
    assert shop.cell.kinds("a") == ["job.submitted"]


def test_a_batch_is_accepted_as_a_whole_or_not_at_all(shop: Shop) -> None:
    with pytest.raises(Refused, match="NS_BODY_TOO_LARGE job=b bytes=1001 limit=1000"):
        shop.submit(a_job("a"), a_job("b", body="x" * 1_001))
    assert shop.look("a") is None


def test_the_same_submission_again_is_the_same_job(shop: Shop) -> None:
    shop.submit("a")
    assert shop.submit("a", "a") == {"jobs": [["a", True], ["a", True]]}
    assert shop.statistics()["counts"]["submitted"] == 1


def test_another_submission_under_a_known_id_is_refused(shop: Shop) -> None:
    shop.submit("a")
    with pytest.raises(Refused, match="NS_JOB_EXISTS job=a"):
        shop.submit(a_job("a", digest="another"))


def test_an_idempotency_key_finds_the_job_that_it_was_first_used_for(shop: Shop) -> None:
    shop.submit(a_job("a", idempotency_key="k", digest="d"))
    assert shop.submit(a_job("b", idempotency_key="k", digest="d")) == {"jobs": [["a", True]]}
    assert shop.submit(a_job("c", idempotency_key="k", digest="d", tenant="other")) == {"jobs": [["c", False]]}


def test_an_idempotency_key_with_another_body_is_refused(shop: Shop) -> None:
    shop.submit(a_job("a", idempotency_key="k", digest="d"))
    with pytest.raises(Refused, match="NS_IDEMPOTENCY_REUSED key=k job=a"):
        shop.submit(a_job("b", idempotency_key="k", digest="other"))


def test_a_lane_with_a_word_that_nobody_declared_is_refused(shop: Shop) -> None:
    with pytest.raises(Refused, match="NS_UNKNOWN_WORD word=model:unheard-of"):
        shop.submit("a", lane=shop.lane(words=["model:unheard-of"]))


def test_a_full_tenant_is_told_when_to_come_back_and_others_are_not_held_up(shop: Shop) -> None:
    shop.cell.open({"max_tenant_jobs": 2}, configure=True)
    shop.submit("a", "b")
    with pytest.raises(Refused) as refusal:
        shop.submit("c")
    assert (refusal.value.code, refusal.value.facts["retry_after_ms"]) == ("NS_TENANT_FULL", "300000")
    shop.submit(a_job("d", tenant="other"))


def test_a_full_cell_says_when_to_come_back_by_the_rate_at_which_jobs_finish(shop: Shop) -> None:
    shop.cell.open({"max_jobs": 2}, configure=True)
    shop.submit("a")
    shop.complete(*shop.lease())
    shop.submit("b", "c")
    with pytest.raises(Refused) as refusal:
        shop.submit("d")
    assert refusal.value.code == "NS_CELL_FULL"
    assert 1_000 <= int(refusal.value.facts["retry_after_ms"]) <= 20_000


def test_submit_waits_for_the_history_when_too_many_events_are_not_written(shop: Shop) -> None:
    shop.cell.open({"max_events": 3}, configure=True)
    shop.submit("a", "b")
    with pytest.raises(Refused, match="NS_EVENTS_BACKLOG"):
        shop.submit("c")
    shop.commit_events()
    shop.submit("c")


def test_a_batch_makes_no_more_lanes_than_the_limit_allows(shop: Shop) -> None:
    shop.cell.open({"max_lanes": 2}, configure=True)
    jobs = [a_job(str(number), lane=number) for number in (1, 2, 3)]
    lanes = [shop.lane(f"lane {number}") for number in (1, 2, 3)]
    with pytest.raises(Refused, match="NS_TOO_MANY_LANES limit=2"):
        shop.cell.call("submit", nonce="n", lanes=lanes, jobs=jobs)


def test_a_lane_that_is_gone_makes_room_for_another(shop: Shop) -> None:
    shop.cell.open({"max_lanes": 1}, configure=True)
    shop.submit("a", lane=shop.lane("one"))
    shop.cancel("a")
    with pytest.raises(Refused, match="NS_TOO_MANY_LANES"):
        shop.submit("b", lane=shop.lane("two"))
    shop.later(60_000)
    shop.tick()
    shop.submit("b", lane=shop.lane("two"))


# complete and fail --------------------------------------------------------------------------------------------------


def test_a_completion_stores_the_result_once_and_answers_a_repeat(shop: Shop) -> None:
    shop.submit("a")
    job, token = shop.lease()
    assert shop.complete(job, token, "[1]") == "ok"
    assert shop.complete(job, token, "[2]") == "replayed"
    assert (shop.status("a"), shop.job("a").result) == ("succeeded", "[1]")
    assert shop.cell.kinds("a").count("job.succeeded") == 1


def test_a_completion_with_an_old_token_is_refused(shop: Shop) -> None:
    shop.submit("a")
    job, old = shop.lease()
    shop.later(30_000)
    shop.tick()
    assert shop.complete(job, old) == "NS_LEASE_LOST"
    _, new = shop.lease()
    assert shop.complete(job, old) == "NS_LEASE_LOST"
    assert shop.complete(job, new) == "ok"
    assert shop.complete(job, old) == "NS_JOB_FINISHED"


def test_a_result_after_a_cancel_is_refused_by_that_name(shop: Shop) -> None:
    shop.submit("a")
    job, token = shop.lease()
    shop.cancel("a")
    assert shop.complete(job, token) == "NS_JOB_CANCELED"
    assert shop.complete("nobody", token) == "NS_NO_SUCH_JOB"


def test_too_large_a_result_is_refused_and_the_lease_stands(shop: Shop) -> None:
    shop.submit("a")
    job, token = shop.lease()
    assert shop.complete(job, token, "x" * 1_001) == "NS_RESULT_TOO_LARGE"
    assert shop.complete(job, token, "x" * 1_000) == "ok"


def test_a_failed_job_waits_for_its_pause_and_is_tried_again(shop: Shop) -> None:
    shop.submit(a_job("a", backoff_base_ms=1_000))
    outcome, due_ms = shop.fail(*shop.lease(), jitter=0.5)
    assert (outcome, due_ms - shop.cell.now_ms, shop.status("a")) == ("retrying", 750, "delayed")
    shop.tick()
    assert shop.take() == []
    shop.later(750)
    shop.tick()
    assert shop.take() == ["a"]


def test_the_pause_doubles_with_each_attempt_up_to_its_cap(shop: Shop) -> None:
    shop.submit(a_job("a", max_attempts=5, backoff_base_ms=1_000, backoff_cap_ms=3_000))
    pauses = []
    for _ in range(4):
        _, due_ms = shop.fail(*shop.lease(), jitter=0.0)
        pauses.append(due_ms - shop.cell.now_ms)
        shop.later(3_000)
        shop.tick()
    assert pauses == [500, 1_000, 1_500, 1_500]


def test_attempts_that_are_spent_or_an_error_not_worth_retrying_make_a_dead_letter(shop: Shop) -> None:
    shop.submit(a_job("spent", max_attempts=1), a_job("hopeless"))
    assert shop.fail(*shop.lease())[0] == "failed"
    assert shop.fail(*shop.lease(), retryable=False)[0] == "failed"
    assert shop.cell.call("list_jobs", index="dead", after="", count=10)["jobs"] == ["hopeless", "spent"]
    assert shop.job("hopeless").get("error_message") == "it broke"


def test_a_failure_told_twice_counts_once(shop: Shop) -> None:
    shop.submit("a")
    job, token = shop.lease()
    shop.fail(job, token)
    assert shop.fail(job, token)[0] == "replayed"
    assert shop.job("a").get("attempts") == 1


@pytest.mark.parametrize("end", ["fail", "release"])
def test_a_completion_after_another_end_of_the_same_lease_is_not_taken_for_a_repeat(shop: Shop, end: str) -> None:
    shop.submit("a")
    job, token = shop.lease()
    if end == "fail":
        shop.fail(job, token)
    else:
        shop.release(job, token)
    assert shop.complete(job, token) == "NS_LEASE_LOST", "its result was dropped, and its sender must know"


def test_complete_and_claim_does_both_or_nothing(shop: Shop) -> None:
    shop.submit("a", "b")
    job, token = shop.lease()
    done = [{"id": job, "token": token, "result": "{}"}]
    request = {"machine": "m", "credits": 1, "nonce": "next", "park": False, "jobs": done}
    with pytest.raises(Refused, match="NS_MACHINE_REPLACED"):
        shop.cell.call("complete_and_claim", session="old", **request)
    assert shop.status("a") == "running"
    reply = shop.cell.call("complete_and_claim", session="s", **request)
    assert (reply["completed"], [job[0] for job in reply["jobs"]]) == ([["a", "ok"]], ["b"])


# claim --------------------------------------------------------------------------------------------------------------


def test_a_claim_gives_token_attempt_lease_and_body(shop: Shop) -> None:
    shop.submit(a_job("a", body="[7]"))
    assert shop.claim(nonce="once")["jobs"] == [["a", "1.once.1", 1, 0, 30_000, "[7]"]]
    assert shop.status("a") == "running"


def test_a_claim_takes_no_more_than_its_credit_and_its_slots(shop: Shop) -> None:
    shop.submit(*(str(number) for number in range(20)))
    assert len(shop.take(3)) == 3
    assert len(shop.take(500)) == 7
    assert shop.take(500) == []


def test_a_claim_repeated_with_its_nonce_gives_the_same_jobs_again(shop: Shop) -> None:
    shop.submit("a", "b", "c")
    first = shop.claim(2, nonce="once")["jobs"]
    assert shop.claim(2, nonce="once")["jobs"] == first
    assert shop.take() == ["c"]


def test_a_repeated_claim_also_gives_again_what_it_had_accepted(shop: Shop) -> None:
    shop.park()
    shop.submit("a")
    first = shop.claim(nonce="once")["jobs"]
    assert [job[0] for job in first] == ["a"]
    assert shop.claim(nonce="once")["jobs"] == first


def test_a_repeated_claim_gives_the_same_jobs_though_the_agent_registered_again_in_between(shop: Shop) -> None:
    shop.submit("a", "b")
    first = shop.claim(nonce="once")["jobs"]
    shop.register()
    assert shop.claim(nonce="once")["jobs"] == first


def test_an_old_session_of_a_machine_is_refused(shop: Shop) -> None:
    shop.register(session="new")
    for function, more in (
        ("claim", {"credits": 1, "nonce": "n"}),
        ("renew", {"jobs": []}),
        ("update_machine", {"slots": 1}),
    ):
        with pytest.raises(Refused, match="NS_MACHINE_REPLACED machine=m"):
            shop.cell.call(function, machine="m", session="s", **more)
        with pytest.raises(Refused, match="NS_NO_SUCH_MACHINE machine=nobody"):
            shop.cell.call(function, machine="nobody", session="s", **more)


# release and renew --------------------------------------------------------------------------------------------------


def test_a_released_job_goes_to_the_front_uncharged(shop: Shop) -> None:
    shop.submit("a", "b")
    job, token = shop.lease()
    assert (shop.release(job, token), shop.release(job, token)) == ("ok", "replayed")
    assert (shop.job("a").get("attempts"), shop.job("a").get("recoveries")) == (0, 0)
    assert shop.take(2) == ["a", "b"]


def test_a_renewal_keeps_the_lease_and_names_what_is_lost_and_what_was_not_named(shop: Shop) -> None:
    shop.submit("a", "b")
    job, token = shop.lease()
    other, other_token = shop.lease()
    shop.later(20_000)
    held = [{"id": job, "token": token}, {"id": "b", "token": "1.wrong.1"}]
    reply = shop.cell.call("renew", machine="m", session="s", jobs=held)
    assert reply["lost"] == [["b", "NS_LEASE_LOST"]]
    assert shop.cell.call("renew", machine="m", session="s", jobs=held[:1])["unknown"] == [[other, other_token]]
    shop.later(10_000)
    shop.tick()
    assert (shop.status("a"), shop.status("b")) == ("running", "queued")
