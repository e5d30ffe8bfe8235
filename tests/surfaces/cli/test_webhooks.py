"""Webhooks from the command line: a secret is shown once, a receiver is tried, and what was sent outlives the broker."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.webhooks.receiver import Receiver, saying
from tests.broker.webhooks.receiver import receiver as running_receiver
from tests.northstar_command import SETTINGS, Northstar, eventually

SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=\n")
ALLOWED = '[webhooks]\nallow_private = ["127.0.0.1"]\n'


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """In a thread of its own, since commands are waited for."""
    found: list[Receiver] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with running_receiver() as one:
            found.append(one)
            ready.set()
            while not over.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    yield found[0]
    over.set()
    thread.join()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Northstar]:
    northstar = Northstar(tmp_path_factory.mktemp("webhooks"), ALLOWED + SETTINGS)
    with northstar.up("--no-machines"):
        yield northstar


def test_a_secret_stands_alone_on_the_standard_output_and_is_nowhere_else(
    running: Northstar, receiver: Receiver
) -> None:
    added = running.run("webhooks", "add", receiver.url, "--description", "the shop")
    assert added.code == 0, added
    assert SECRET.fullmatch(added.out)
    webhook = added.err.split(" ")[0]
    assert f"northstar webhooks test {webhook}" in added.err
    assert (running.data_dir / "webhooks.key").stat().st_mode & 0o777 == 0o600
    tried = running.run("webhooks", "test", webhook, "--wait")
    assert tried.code == 0, tried
    assert "delivered: answered 200" in tried.out
    assert receiver.heard[0].is_signed_by(added.out.strip())
    shown = running.run("webhooks", "show", webhook)
    assert "the shop" in shown.out
    assert "0 wait, 1 delivered, 0 failed" in shown.out
    listed = running.run("webhooks", "list")
    assert webhook in listed.out
    assert added.out.strip() not in shown.out + listed.out + (running.folder / "err.log").read_text()


def test_a_receiver_that_answers_badly_is_the_exit_code_and_the_log_says_why(
    running: Northstar, receiver: Receiver
) -> None:
    webhook = running.good("webhooks", "add", receiver.url)["webhook"]["id"]
    receiver.answer = saying(302)
    tried = running.run("webhooks", "test", webhook, "--wait")
    assert tried.code == 1
    assert "a redirect, which is not followed" in tried.out
    (one,) = running.good("webhooks", "deliveries", webhook, "--status", "waiting")["deliveries"]
    assert (one["error"], one["answer_status"], one["attempts"]) == ("redirect", 302, 1)
    receiver.answer = saying(200)
    assert running.run("webhooks", "redeliver", webhook, one["id"]).code == 0
    eventually(lambda: len(receiver.heard) == 2, what="it is sent again")


def test_what_a_receiver_may_be_is_judged_by_those_who_send_and_not_by_this_commands_settings(
    running: Northstar, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(SETTINGS.replace("COPY", "x"))
    added = running.run("webhooks", "add", receiver.url, "--config", str(tmp_path / "mine.toml"))
    assert added.code == 0, added
    (tmp_path / "wide.toml").write_text('[webhooks]\nallow_private = ["10.0.0.0/8"]\n' + SETTINGS.replace("COPY", "x"))
    refused = running.run("webhooks", "add", "https://10.0.0.1/", "--config", str(tmp_path / "wide.toml"))
    assert (refused.code, "webhooks.allow_private does not list it" in refused.err) == (2, True)


def test_a_receiver_that_takes_nothing_is_told_by_the_status(running: Northstar, receiver: Receiver) -> None:
    webhook = running.good("webhooks", "add", receiver.url, "--description", "ill")["webhook"]["id"]
    assert not [one for one in running.good("status")["troubles"] if webhook in one["what"]]
    receiver.answer = saying(500)
    assert running.run("webhooks", "test", webhook, "--wait").code == 1
    (trouble,) = [one for one in running.good("status")["troubles"] if webhook in one["what"]]
    assert trouble["what"].startswith(f"webhook {webhook} fails: {receiver.url} takes nothing since ")
    assert trouble["command"] == f"northstar webhooks deliveries {webhook}"
    running.good("webhooks", "remove", webhook, "--yes")


def test_changes_are_told_and_what_deletes_asks_first(running: Northstar, receiver: Receiver) -> None:
    webhook = running.good("webhooks", "add", receiver.url, "--tenant", "acme", "--event", "job.failed")["webhook"]
    assert (webhook["tenant"], webhook["events"]) == ("acme", ["job.failed"])
    off = running.good("webhooks", "change", webhook["id"], "--off")
    assert off["off"] == "switched off by hand"
    assert running.run("webhooks", "test", webhook["id"]).code == 3
    assert running.good("webhooks", "change", webhook["id"], "--on", "--event", "all")["events"] == ["all"]
    rotated = running.run("webhooks", "rotate", webhook["id"])
    assert SECRET.fullmatch(rotated.out)
    for command in (("rotate", webhook["id"], "--grace", "0s"), ("remove", webhook["id"])):
        refused = running.run("webhooks", *command)
        assert (refused.code, refused.err.split(":")[0]) == (2, "NS_CONFIRMATION_NEEDED")
    assert running.good("webhooks", "remove", webhook["id"], "--yes")["removed"]
    assert running.run("webhooks", "show", webhook["id"]).err.startswith("NS_NO_SUCH_WEBHOOK")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", "https://10.0.0.1/"), "NS_WEBHOOK_INVALID"),
        (("add", "nonsense"), "NS_WEBHOOK_INVALID"),
        (("add", "https://example.com/", "--event", "job.suceeded"), "NS_WEBHOOK_INVALID"),
        (("add", "https://example.com/", "--event", "machine"), "NS_WEBHOOK_INVALID"),
        (("add", "https://example.com/", "--tenant", "a", "--all-tenants"), "NS_WEBHOOK_INVALID"),
        (("add", "https://example.com/", "--tenant", "no name"), "NS_WEBHOOK_INVALID"),
        (("redeliver", "0123456789abcdef"), "NS_REDELIVERY_UNCLEAR"),
    ],
)
def test_what_cannot_be_is_refused_by_name(running: Northstar, arguments: tuple[str, ...], code: str) -> None:
    answer = running.run("webhooks", *arguments)
    assert (answer.code, answer.err.split(":")[0]) == (2, code)
    assert "Expected `" not in answer.err


def test_what_was_not_delivered_is_sent_by_the_broker_that_comes_after_a_killed_one(
    tmp_path: Path, receiver: Receiver
) -> None:
    northstar = Northstar(tmp_path, ALLOWED + "timeout_s = 1.0\n" + SETTINGS)
    receiver.answer = saying(503)
    with northstar.up("--no-machines") as first:
        webhook = northstar.good("webhooks", "add", receiver.url, "--event", "all")["webhook"]["id"]
        northstar.good("submit", "-", stdin='{"service": "copy", "id": "a", "payload": {}}')
        northstar.good("jobs", "cancel", "a")
        eventually(lambda: len(receiver.heard) >= 1, what="it was tried")
        first.stop(signal.SIGKILL)
    # Before another is there: that one may have sent everything as soon as it is up.
    (first_sent,) = {one.id for one in receiver.heard}
    receiver.answer = saying(200)
    with northstar.up("--no-machines"):

        def is_delivered() -> bool:
            # What the killed one held is another's once its lease is over; what pauses, at once where somebody asks.
            waiting = northstar.good("webhooks", "deliveries", webhook, "--status", "waiting")["deliveries"]
            if first_sent in {one["id"] for one in waiting}:
                northstar.good("webhooks", "redeliver", webhook, first_sent)
            # What was delivered while we asked for it comes once more, after the other.
            return "job.canceled" in receiver.kinds()

        eventually(is_delivered, what="the rest is delivered", pause_s=0.5)
        assert list(dict.fromkeys(receiver.kinds())) == ["job.submitted", "job.canceled"]
        assert len({one.id for one in receiver.heard}) == 2
        eventually(
            lambda: (
                {one["status"] for one in northstar.good("webhooks", "deliveries", webhook)["deliveries"]}
                == {"delivered"}
            ),
            what="the log says so",
        )
