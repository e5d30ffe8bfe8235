"""Each event reaches each webhook that wants it, signed, in the order of its job, whichever process dies or sends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import northstar.store.history.webhook_making
from northstar.domain.webhooks import WebhookChange
from tests.broker.webhooks.office import Office
from tests.broker.webhooks.receiver import Receiver, saying


async def test_a_jobs_events_come_signed_in_their_order_and_once(office: Office, receiver: Receiver) -> None:
    made, post = await office.webhook(receiver.url), await office.post()
    await office.run("a", tenant="acme")
    await post.round()
    await post.round()
    assert receiver.kinds("a") == ["job.submitted", "job.started", "job.succeeded"]
    assert all(one.is_signed_by(made.secret) for one in receiver.heard)
    assert len({one.id for one in receiver.heard}) == 3
    last = receiver.heard[-1].message["data"]
    assert (last["job"]["tenant"], last["job"]["service"], last["job"]["pool"]) == ("acme", "paint", "fast")
    assert (last["cell"], last["job"]["status"], last["event"]["number"]) == (office.cell.name, "succeeded", 3)
    assert [(one.status, one.answer_status) for one in await office.log(made)] == [("delivered", 200)] * 3


async def test_a_webhook_is_told_of_what_it_asked_for_and_begins_when_it_is_made(
    office: Office, receiver: Receiver
) -> None:
    await office.run("before")
    await office.webhook(receiver.url, "completed")
    await office.run("after")
    await (await office.post()).round()
    assert [(one.kind, one.job) for one in receiver.heard] == [("job.succeeded", "after")]


async def test_a_tenant_is_told_of_its_own_jobs_alone_also_where_ids_come_again(
    office: Office, receiver: Receiver
) -> None:
    await office.webhook(receiver.url + "/acme", tenant="acme")
    await office.webhook(receiver.url + "/all")
    post = await office.post()
    await office.workplace.run("same", tenant="acme", retention_s=1)
    await office.write()
    office.later(s=10)
    await office.workplace.tick()  # forgets the job, whose id is free again
    await office.run("same", "other", tenant="else")
    await post.round()
    told = {path: [one for one in receiver.heard if one.path.endswith(path)] for path in ("/acme", "/all")}
    assert [one.message["data"]["job"]["tenant"] for one in told["/acme"]] == ["acme"] * 3
    assert sorted({one.message["data"]["job"]["tenant"] for one in told["/all"]}) == ["acme", "else"]
    assert len(told["/all"]) == 9


async def test_a_job_that_did_not_start_in_time_is_told_with_its_deadline(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver.url, "completed")
    await office.workplace.submit("late", start_within_s=30)
    office.later(s=60)
    await office.workplace.tick()
    await office.write()
    await (await office.post()).round()
    error = receiver.heard[0].message["data"]["job"]["error"]
    assert error["code"] == "NS_NOT_STARTED_IN_TIME"
    assert "within 30 s of its submission" in error["message"]


async def test_what_is_no_job_goes_to_webhooks_of_all_tenants_that_ask_for_it(
    office: Office, receiver: Receiver
) -> None:
    await office.webhook(receiver.url, "machine")
    await office.workplace.lose("m", lost=False)
    await office.write()
    await (await office.post()).round()
    assert receiver.kinds() == ["machine.removed"]
    assert "job" not in receiver.heard[0].message["data"]


async def test_a_receiver_that_fails_is_tried_again_with_the_same_id_and_later_events_of_the_job_wait(
    office: Office, receiver: Receiver
) -> None:
    made, post = await office.webhook(receiver.url), await office.post()
    receiver.answer = saying(500, body=b"not now")
    await office.run("a")
    await post.round()
    assert receiver.kinds() == ["job.submitted"]
    first, second, _ = await office.log(made)
    assert (first.status, first.attempts, first.due_ms - office.now_ms) == ("waiting", 1, 5_000)
    assert (first.error, first.answer_status, first.answer) == ("status", 500, "not now")
    assert (second.status, second.due_ms) == ("waiting", 0)
    for pause_s, attempts in ((4, 1), (1, 2), (300, 3), (1_800, 4)):
        office.later(s=pause_s)
        await post.round()
        assert len(receiver.heard) == attempts, pause_s
    assert len({one.id for one in receiver.heard}) == 1
    assert len({one.headers["webhook-timestamp"] for one in receiver.heard}) == 4
    receiver.answer = saying(204)
    office.later(s=7_200)
    await post.round()
    assert receiver.kinds()[4:] == ["job.submitted", "job.started", "job.succeeded"]
    assert {one.status for one in await office.log(made)} == {"delivered"}


async def test_one_jobs_trouble_is_not_anothers(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver.url)
    post = await office.post()

    async def picky(heard: Any, out: asyncio.StreamWriter) -> None:
        await saying(500 if heard.job == "a" else 200)(heard, out)

    receiver.answer = picky
    await office.run("a", "b")
    await post.round()
    assert receiver.kinds("a") == ["job.submitted"]
    assert receiver.kinds("b") == ["job.submitted", "job.started", "job.succeeded"]


async def test_after_the_last_attempt_it_is_given_up_and_the_next_event_has_its_turn(
    office: Office, receiver: Receiver
) -> None:
    made = await office.webhook(receiver.url)
    post = await office.post(rule={"off_after_ms": 30 * 86_400_000})
    receiver.answer = saying(404)
    await office.run("a")
    for _ in range(10):
        await post.round()
        office.later(s=86_400)
    receiver.answer = saying(200)
    await post.round()
    first, *rest = await office.log(made)
    assert (first.status, first.attempts) == ("failed", 10)
    assert [one.status for one in rest] == ["delivered", "delivered"]


async def test_two_processes_at_once_send_each_event_once(office: Office, receiver: Receiver) -> None:
    made = await office.webhook(receiver.url, "completed")
    posts = [await office.post() for _ in range(2)]
    jobs = [f"j{number}" for number in range(40)]
    await office.run(*jobs)
    await asyncio.gather(*(post.round() for post in posts))
    for post in posts:
        await post.round()
    assert sorted(one.job for one in receiver.heard) == sorted(jobs)
    assert [one.status for one in await office.log(made)] == ["delivered"] * 40


async def test_what_a_killed_process_held_another_sends_once_its_lease_is_over(
    office: Office, receiver: Receiver
) -> None:
    await office.webhook(receiver.url, "completed")
    killed, other = await office.post(), await office.post()
    await office.run("a")
    await killed.keeper.turn()  # makes the delivery and takes it; what becomes of it is noted by nobody
    await killed.sender.idle()
    killed.sender._settled.clear()
    await other.round()
    assert len(receiver.heard) == 1
    office.later(s=61)
    await other.round()
    assert len(receiver.heard) == 2
    assert receiver.heard[0].id == receiver.heard[1].id


async def test_a_process_that_stops_gives_back_what_it_has_not_sent_to_the_end(
    office: Office, receiver: Receiver
) -> None:
    made = await office.webhook(receiver.url, "completed")
    stopping, other = await office.post(), await office.post()
    gate = asyncio.Event()

    async def slow(heard: Any, out: asyncio.StreamWriter) -> None:
        await gate.wait()

    receiver.answer = slow
    await office.run("a")
    await stopping.keeper.turn()
    await stopping.sender.close()
    receiver.answer = saying(200)
    await other.round()
    (one,) = await office.log(made)
    assert (one.status, one.attempts) == ("delivered", 1)


async def test_at_the_bound_events_wait_in_the_history_and_none_is_lost(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(northstar.store.history.webhook_making, "MAX_WAITING", 2)
    made, post = await office.webhook(receiver.url), await office.post()
    receiver.answer = saying(503)
    await office.run("a")
    await post.round()
    await office.run("b")
    await post.round()
    assert len(await office.log(made)) == 3  # what came at once came whole; then nothing is added
    receiver.answer = saying(200)
    office.later(s=60)
    await post.round()
    await post.round()
    assert receiver.kinds("b") == ["job.submitted", "job.started", "job.succeeded"]


async def test_a_receiver_gets_few_at_once_and_one_that_fails_only_one(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver.url, "completed")
    post = await office.post(rule={"per_receiver": 3})
    gate = asyncio.Event()

    async def slow(heard: Any, out: asyncio.StreamWriter) -> None:
        if receiver.at_once >= 3:
            gate.set()
        await gate.wait()
        await saying(500)(heard, out)

    receiver.answer = slow
    await office.run(*(f"j{number}" for number in range(9)))
    await post.keeper.turn()
    await post.sender.idle()
    assert (len(receiver.heard), receiver.most_at_once) == (3, 3)
    receiver.most_at_once = 0
    await post.round()
    assert (len(receiver.heard), receiver.most_at_once) == (9, 1)


async def test_one_that_is_switched_on_again_begins_with_what_happens_then(office: Office, receiver: Receiver) -> None:
    made, post = await office.webhook(receiver.url, "completed"), await office.post()
    await office.deliveries.change(made.webhook.id, WebhookChange(enabled=False), by="test")
    await office.run("while-off")
    await post.round()
    view = await office.deliveries.change(made.webhook.id, WebhookChange(enabled=True), by="test")
    assert (view.enabled, view.off) == (True, "")
    await office.run("after")
    await post.round()
    assert [one.job for one in receiver.heard] == ["after"]
