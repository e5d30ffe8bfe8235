"""Receivers that hang, redirect, answer nonsense or lie where nobody may go: each is a failure that says what it is."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from northstar.broker.webhooks.posting import Poster
from northstar.domain.webhooks import WebhookChange, WebhookInvalid
from northstar.policy.admission.addresses import network
from northstar.store.history import HistoryReader
from tests.broker.webhooks.office import Office
from tests.broker.webhooks.receiver import Answer, Receiver, dripping, endless, hanging, saying, sending
from tests.servers import make_certificate


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """How receivers behave is the same whatever the database."""
    return f"sqlite:///{tmp_path}/history.db"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (hanging, "timeout", "it did not answer within 0.3 s"),
        (dripping, "timeout", "it did not answer within 0.3 s"),
        (saying(302, headers="Location: http://169.254.169.254/\r\n"), "redirect", "which is not followed"),
        (saying(304), "redirect", "it answered 304"),
        (saying(500), "status", "it answered 500"),
        (saying(200 + 299), "status", "it answered 499"),
        (sending(b""), "closed", "without an answer"),
        (sending(b"HTTP/1.1 200"), "closed", "without an answer"),
        (sending(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "nonsense", "is not HTTP"),
        (sending(b"HTTP/1.1 two hundred\r\n\r\n"), "nonsense", "is not HTTP"),
        (sending(b"\x00\xff" * 50_000), "nonsense", "is not HTTP"),
        (sending(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n"), "nonsense", "is not HTTP"),
        (sending(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000), "nonsense", "is not HTTP"),
    ],
)
async def test_a_bad_answer_is_a_failure_with_a_word_and_a_sentence(
    office: Office, receiver: Receiver, answer: Answer, error: str, words: str
) -> None:
    made, post = await office.webhook(receiver.url, "completed"), await office.post(timeout_s=0.3)
    receiver.answer = answer
    await office.run("a")
    await post.round()
    (one,) = await office.log(made)
    assert (one.status, one.attempts, one.error) == ("waiting", 1, error), one
    assert words in one.message
    assert [heard.path for heard in receiver.heard] == ["/hooks"]  # one request, and nothing was followed
    view = await office.deliveries.health(made.webhook.id)
    assert view.failing_since_ms == office.now_ms


@pytest.mark.parametrize(
    "answer",
    [
        endless,
        sending(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort"),
        saying(200, body=b"\x1b[2J\x00\xff" * 900),
    ],
)
async def test_a_yes_is_a_yes_whatever_comes_after_it_and_its_beginning_is_kept(
    office: Office, receiver: Receiver, answer: Answer
) -> None:
    made, post = await office.webhook(receiver.url, "completed"), await office.post(timeout_s=2.0)
    receiver.answer = answer
    await office.run("a")
    await post.round()
    (one,) = await office.log(made)
    assert (one.status, one.answer_status) == ("delivered", 200), one
    assert len(one.answer) <= 512
    assert one.answer.isprintable()


async def test_what_nobody_listens_to_cannot_be_reached(office: Office) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    made, post = await office.webhook(f"http://127.0.0.1:{port}/", "completed"), await office.post()
    await office.run("a")
    await post.round()
    assert [one.error for one in await office.log(made)] == ["unreachable"]


async def test_a_certificate_that_nobody_has_signed_is_refused(office: Office, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(tmp_path))
    server = await asyncio.start_server(lambda _read, out: out.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        made, post = await office.webhook(f"https://127.0.0.1:{port}/", "completed"), await office.post()
        await office.run("a")
        await post.round()
    (one,) = await office.log(made)
    assert one.error == "tls"
    assert "certificate" in one.message


@pytest.mark.parametrize(("said", "pause_s"), [("120", 120), ("1", 5), ("99999999", 86_400), ("soon", 5)])
async def test_when_to_come_back_is_respected_within_bounds(
    office: Office, receiver: Receiver, said: str, pause_s: int
) -> None:
    made, post = await office.webhook(receiver.url, "completed"), await office.post()
    receiver.answer = saying(429, headers=f"Retry-After: {said}\r\n")
    await office.run("a")
    await post.round()
    (one,) = await office.log(made)
    assert one.due_ms - office.now_ms == pause_s * 1_000


class Names(AbstractResolver):
    """Says of a name first the one address, then the other; or all of them at once."""

    def __init__(self, *addresses: str, port: int, at_once: bool = False) -> None:
        self.addresses = list(addresses)
        self.port = port
        self.at_once = at_once

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.addresses if self.at_once else [self.addresses[0]]
        if not self.at_once and len(self.addresses) > 1:
            self.addresses.pop(0)
        return [
            ResolveResult(
                hostname=host, host=address, port=self.port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


async def test_a_name_that_leads_into_a_private_network_is_refused_with_the_setting_that_would_allow_it(
    office: Office, receiver: Receiver
) -> None:
    made = await office.webhook(f"https://receiver.example:{receiver.port}/hooks", "completed")
    post = await office.post(allowed=[], resolver=Names("127.0.0.1", port=receiver.port))
    await office.run("a")
    await post.round()
    (one,) = await office.log(made)
    assert (one.error, receiver.heard) == ("private", [])
    assert "127.0.0.1 lies in a private network, and webhooks.allow_private does not list it" in one.message


async def test_a_name_that_changes_its_mind_after_a_check_is_looked_at_again(
    office: Office, receiver: Receiver
) -> None:
    made = await office.webhook(f"https://receiver.example:{receiver.port}/hooks", "completed")
    # A closed port of documentation's own network: nobody is reached there, and then the name leads to this host.
    names = Names("203.0.113.7", "127.0.0.1", port=receiver.port)
    post = await office.post(allowed=["203.0.113.0/24"], resolver=names, timeout_s=0.2)
    await office.run("a")
    for _ in range(2):
        await post.round()
        office.later(s=10)
    (one,) = await office.log(made)
    assert (one.attempts, one.error, receiver.heard) == (2, "private", [])


async def test_a_name_with_one_private_address_among_others_is_refused_whole(receiver: Receiver) -> None:
    names = Names("203.0.113.7", "127.0.0.1", port=receiver.port, at_once=True)
    allowed = [network("203.0.113.0/24")]
    async with Poster(
        allowed=allowed, timeout_s=0.3, monotonic=lambda: 0.0, now_s=lambda: 0.0, resolver=lambda: names
    ) as poster:
        answer = await poster.post("https://receiver.example/", b"{}", {})
    assert (answer.error, receiver.heard) == ("private", [])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"])
async def test_this_host_is_not_reached_however_it_is_spelt(receiver: Receiver, host: str) -> None:
    async with Poster(allowed=[], timeout_s=5.0, monotonic=lambda: 0.0, now_s=lambda: 0.0) as poster:
        answer = await poster.post(f"https://{host}:{receiver.port}/", b"{}", {})
    assert answer.error in {"private", "address"}, answer
    assert receiver.heard == []


async def test_an_address_in_a_private_network_or_without_https_is_refused_when_a_webhook_is_made(
    office: Office,
) -> None:
    for url in ("https://10.0.0.1/", "http://93.184.215.14/", "https://me:key@example.com/"):
        with pytest.raises(WebhookInvalid, match="the address"):
            await office.webhook(url)


async def test_a_receiver_that_wants_nothing_more_is_switched_off_and_the_events_say_so(
    office: Office, receiver: Receiver
) -> None:
    made, post = await office.webhook(receiver.url), await office.post()
    receiver.answer = saying(410)
    await office.run("a")
    await post.round()
    await post.round()
    view = await office.registry.view(made.webhook.id)
    assert (view.enabled, view.off, view.by) == (False, "its receiver answered 410 Gone", "webhooks")
    assert [(one.status, one.error) for one in await office.log(made)] == [
        ("failed", "gone"),
        ("failed", "off"),
        ("failed", "off"),
    ]
    await office.run("b")
    await post.round()
    assert len(receiver.heard) == 1
    reader = HistoryReader(office.database, cell=office.cell.name)
    (event, *_) = await reader.latest_events(f"webhook:{made.webhook.id}", kinds=["document.put"])
    assert event.data["by"] == "webhooks"


async def test_a_receiver_that_takes_nothing_for_days_is_switched_off_and_begins_anew_when_it_is_switched_on(
    office: Office, receiver: Receiver
) -> None:
    made, post = await office.webhook(receiver.url, "completed"), await office.post()
    receiver.answer = saying(503)
    for day in range(6):
        assert (await office.registry.view(made.webhook.id)).enabled, day
        await office.run(f"j{day}")
        await post.round()
        office.later(s=86_400)
    await post.round()
    view = await office.registry.view(made.webhook.id)
    assert (view.enabled, view.off) == (False, "its receiver has taken nothing for 5 days")
    await office.deliveries.change(made.webhook.id, WebhookChange(enabled=True), by="test")
    await office.run("again")
    await post.round()
    assert (await office.registry.view(made.webhook.id)).enabled
    receiver.answer = saying(200)
    office.later(s=5)
    await post.round()
    assert receiver.heard[-1].job == "again"
    assert (await office.deliveries.health(made.webhook.id)).failing_since_ms == 0
