"""What was sent can be looked at and sent again, within bounds; secrets are replaced without a gap, and kept nowhere."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from sqlalchemy import text

from northstar.broker.webhooks.signing_key import KeyHolder
from northstar.domain.webhooks import (
    MAX_OF_TENANT,
    NoSuchDelivery,
    NoSuchWebhook,
    TooManyWebhooks,
    WebhookChange,
    WebhookInvalid,
    WebhookKeyForeign,
    WebhookKeyMissing,
    WebhookOff,
    WebhookTerms,
)
from tests.broker.webhooks.office import KEY, Office
from tests.broker.webhooks.receiver import Receiver, saying

OTHER_KEY = base64.b64encode(b"another key of another place, long").decode()


async def test_a_trial_is_sent_by_itself_and_says_what_became_of_it(office: Office, receiver: Receiver) -> None:
    made, post = await office.webhook(receiver.url), await office.post()
    trial = await office.deliveries.test(made.webhook.id)
    assert (trial.event, trial.status) == ("webhook.test", "waiting")
    await post.round()
    assert receiver.heard[0].message["data"] == {"webhook": made.webhook.id}
    assert receiver.heard[0].is_signed_by(made.secret)
    assert (await office.deliveries.get(made.webhook.id, trial.id)).status == "delivered"


async def test_one_delivery_or_all_that_failed_are_sent_again_under_their_ids(
    office: Office, receiver: Receiver
) -> None:
    made, post = await office.webhook(receiver.url), await office.post(rule={"off_after_ms": 10**12})
    webhook = made.webhook.id
    await office.run("a")
    await post.round()
    first = (await office.log(made))[0]
    again = await office.deliveries.redeliver(webhook, first.id)
    assert (again.status, again.attempts) == ("waiting", 0)
    await post.round()
    assert [one.id for one in receiver.heard].count(first.id) == 2
    receiver.answer = saying(500)
    office.later(s=1)
    since_ms = office.now_ms
    await office.run("b", "c")
    for _ in range(31):
        await post.round()
        office.later(s=86_400)
    assert len(await office.log(made, status="failed")) == 6
    receiver.answer, receiver.heard = saying(200), []
    done = await office.deliveries.redeliver_failed(webhook, since_ms=since_ms)
    assert (done.deliveries, done.more) == (6, False)
    await post.round()
    for job in ("b", "c"):
        assert receiver.kinds(job) == ["job.submitted", "job.started", "job.succeeded"]
    assert not await office.log(made, status="failed")


async def test_one_that_pauses_is_tried_at_once_when_somebody_asks(office: Office, receiver: Receiver) -> None:
    made, post = await office.webhook(receiver.url, "completed"), await office.post()
    receiver.answer = saying(500)
    await office.run("a")
    await post.round()
    receiver.answer = saying(200)
    (one,) = await office.log(made)
    await office.deliveries.redeliver(made.webhook.id, one.id)
    await post.round()
    assert [one.status for one in await office.log(made)] == ["delivered"]


async def test_pages_go_on_until_there_is_no_cursor_and_leave_nothing_out(office: Office, receiver: Receiver) -> None:
    made, post = await office.webhook(receiver.url), await office.post()
    await office.run("a", "b", "c")
    await post.round()
    seen: list[str] = []
    cursor = ""
    for _ in range(10):
        page = await office.deliveries.page(made.webhook.id, cursor=cursor, count=4)
        seen += [one.id for one in page.deliveries]
        cursor = page.cursor
        if not cursor:
            break
    assert sorted(seen) == sorted(one.id for one in await office.log(made))
    assert len(set(seen)) == 9


async def test_no_delivery_is_found_through_another_webhook_or_by_what_no_id_is(
    office: Office, receiver: Receiver
) -> None:
    made, other = [await office.webhook(receiver.url) for _ in range(2)]
    await office.run("a")
    await (await office.post()).round()
    theirs = (await office.log(made))[0].id
    for name in (theirs, "msg_", "msg_\0", "x" * 10_000, "é"):
        with pytest.raises(NoSuchDelivery):
            await office.deliveries.redeliver(other.webhook.id, name)
    for name in ("", "0" * 16, "../keys", "x" * 10_000, "\0"):
        with pytest.raises(NoSuchWebhook):
            await office.deliveries.page(name)


async def test_what_is_old_or_too_much_is_forgotten_and_what_waits_is_not(office: Office, receiver: Receiver) -> None:
    made = await office.webhook(receiver.url, "completed")
    post = await office.post(keeping={"keep_ms": 3_600_000, "keep": 5})
    jobs = [f"j{number}" for number in range(9)]
    await office.run(*jobs)
    await post.round()
    office.later(s=61)
    await post.round()
    assert len(await office.log(made)) == 5
    receiver.answer = saying(500)
    await office.run("waits")
    await post.round()
    office.later(s=4_000)
    await post.round()
    assert [(one.subject, one.status) for one in await office.log(made)] == [("waits", "waiting")]


async def test_a_webhook_that_is_removed_is_sent_nothing_and_leaves_nothing(office: Office, receiver: Receiver) -> None:
    made, post = await office.webhook(receiver.url), await office.post()
    receiver.answer = saying(500)
    await office.run("a")
    await post.round()
    await office.registry.remove(made.webhook.id, by="test")
    office.later(s=600)
    await post.round()
    assert len(receiver.heard) == 1
    for table in ("webhook_deliveries", "webhook_states"):
        count = text(f"SELECT count(*) FROM {table} WHERE cell = :cell")
        left = await office.database.read(lambda c, q=count: c.execute(q, {"cell": office.cell.name}).scalar_one())  # type: ignore[misc]
        assert left == 0, table


async def test_a_secret_is_replaced_without_a_message_that_a_receiver_cannot_verify(
    office: Office, receiver: Receiver
) -> None:
    made, post = await office.webhook(receiver.url, "completed"), await office.post()
    rotated = await office.registry.rotate(made.webhook.id, grace_s=3_600, by="test")
    assert rotated.secret != made.secret
    assert rotated.webhook.former == 1
    await office.run("a")
    await post.round()
    office.later(s=3_601)
    await office.run("b")
    await post.round()
    during, after = receiver.heard
    assert during.is_signed_by(made.secret)
    assert during.is_signed_by(rotated.secret)
    assert after.is_signed_by(rotated.secret)
    assert not after.is_signed_by(made.secret)


async def test_no_secret_is_kept_anywhere(office: Office, receiver: Receiver) -> None:
    made, post = await office.webhook(receiver.url), await office.post()
    await office.run("a")
    await post.round()
    kept = await office.cell.client.execute_command("HGETALL", office.cell.keys["documents"])
    rows = await office.database.read(lambda c: c.execute(text("SELECT * FROM webhook_deliveries")).all())
    everything = b"".join(part for pair in dict(kept).items() for part in pair) + repr(rows).encode()
    secret = made.secret.removeprefix("whsec_")
    for hidden in (secret, KEY):
        assert hidden.encode() not in everything
        assert base64.b64decode(hidden) not in everything
    assert secret not in repr(made)


async def test_a_process_with_another_key_signs_nothing_and_says_the_cure(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver.url, "completed")
    right, wrong = await office.post(), await office.post(key=OTHER_KEY)
    await office.run("a")
    await wrong.round()
    assert receiver.heard == []
    assert isinstance(wrong.keeper.key_fault, WebhookKeyForeign)
    assert "copy NORTHSTAR_WEBHOOK_KEY" in str(wrong.keeper.key_fault)
    with pytest.raises(WebhookKeyForeign):
        await wrong.registry.rotate((await office.registry.views())[0].id, grace_s=0, by="test")
    await right.round()
    assert len(receiver.heard) == 1


async def test_where_a_key_is_lost_webhooks_are_made_anew_with_another(office: Office, receiver: Receiver) -> None:
    made, other = await office.webhook(receiver.url, "completed"), await office.post(key=OTHER_KEY)
    await office.registry.remove(made.webhook.id, by="test")
    anew = await other.registry.make(WebhookTerms(url=receiver.url), by="test")
    await office.run("a")
    await other.round()
    assert receiver.heard[0].is_signed_by(anew.secret)


async def test_a_key_is_made_once_for_its_owner_alone_and_one_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "webhooks.key"
    holder = KeyHolder(text="", file=file)
    with pytest.raises(WebhookKeyMissing, match="openssl rand -base64 32"):
        holder.key()
    holder.make_file(random_bytes=lambda size: b"r" * size)
    holder.make_file(random_bytes=lambda size: b"x" * size)
    assert (file.stat().st_mode & 0o777, [path.name for path in tmp_path.iterdir()]) == (0o600, ["webhooks.key"])
    assert holder.key().fingerprint == KeyHolder(text="", file=file).key().fingerprint
    assert KeyHolder(text=KEY, file=file).key().fingerprint != holder.key().fingerprint
    for text_ in ("short", "c2hvcnQ=", "\xff" * 50):
        with pytest.raises(WebhookKeyMissing, match="base64 of at least 24 bytes"):
            KeyHolder(text=text_, file=file).key()


async def test_bounds_and_what_cannot_be_are_refused_by_name(office: Office, receiver: Receiver) -> None:
    for _ in range(MAX_OF_TENANT):
        made = await office.webhook(receiver.url, tenant="acme")
    with pytest.raises(TooManyWebhooks, match="tenant 'acme' has 20 webhooks"):
        await office.webhook(receiver.url, tenant="acme")
    await office.webhook(receiver.url, tenant="other")
    for events in (("machine",), ("job.suceeded",)):
        with pytest.raises(WebhookInvalid):
            await office.webhook(receiver.url, *events, tenant="other")
        with pytest.raises(WebhookInvalid):
            await office.registry.change(made.webhook.id, WebhookChange(events=events), by="test")
    await office.registry.change(made.webhook.id, WebhookChange(enabled=False), by="test")
    with pytest.raises(WebhookOff, match="switched off by hand"):
        await office.deliveries.test(made.webhook.id)
