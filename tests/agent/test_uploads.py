"""A file that is sent to the broker tells how much of it has gone, and is sent again where that may help."""

from __future__ import annotations

import asyncio
import hashlib
import io
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from northstar.agent.dialing import Backoff, Dialling
from northstar.agent.outputs import OutputChanged, OutputNotSent, OutputRefused, UploadedOutputs, _pieces
from northstar.connectors.contract import Output
from northstar.connectors.secret import Secret
from northstar.domain.jobs import ClaimedJob

SHA256 = hashlib.sha256(b"picture").hexdigest()


async def test_a_file_goes_in_pieces_and_each_is_told_once_it_has_gone() -> None:
    data, told = bytes(600_000), list[int]()
    sent = bytearray()
    async for piece in _pieces(io.BytesIO(data), told.append):
        assert sum(told[-1:]) == len(sent)
        sent += piece
    assert bytes(sent) == data
    assert told == [262_144, 524_288, 600_000]


class Broker:
    """Answers what it is told to, try after try, and then takes the file; a 0 breaks the connection off."""

    def __init__(self, *answers: tuple[int, str], refuses: int = 0) -> None:
        self._answers = list(answers)
        self._refuses = refuses
        self.came = 0
        self.waited_for: list[str] = []

    async def _take(self, request: web.Request) -> web.Response:
        self.came += 1
        await request.read()
        if not self._answers:
            ref = {"url": "file:///a", "size_bytes": 7, "sha256": SHA256, "media_type": "image/png"}
            return web.json_response(ref, status=201)
        status, code = self._answers.pop(0)
        if not status and request.transport is not None:
            request.transport.abort()
        return web.json_response({"title": code, "detail": "no"}, status=status or 500)

    async def store(self, folder: Path, *, hold_s: float = 30.0) -> None:
        """Send it a file. Until it was asked in vain often enough, nothing listens at its port."""
        path = folder / "a.png"
        path.write_bytes(b"picture")
        output = Output(name="a.png", path=path, media_type="image/png", size_bytes=7, sha256=SHA256)
        app = web.Application()
        app.router.add_put("/{tail:.*}", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        listens = asyncio.Event()
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))

            def waits(what: str) -> None:
                self.waited_for.append(what)
                if len(self.waited_for) >= self._refuses:
                    listens.set()

            async def listen() -> None:
                if self._refuses:
                    await listens.wait()
                await web.SockSite(runner, door).start()

            listening = asyncio.create_task(listen())
            try:
                async with aiohttp.ClientSession() as http:
                    dialling = Dialling(http_url=f"http://127.0.0.1:{door.getsockname()[1]}", token=Secret("t"))
                    outputs = UploadedOutputs(
                        http, dialling, backoff=Backoff(first_s=0.01), jitter=lambda: 0.0, hold_s=hold_s
                    )
                    job = ClaimedJob("j", "1", 1, 0, 1_000, "{}")
                    await outputs.store(job, output, path, sent=lambda _: None, waits=waits)
            finally:
                listening.cancel()
                await asyncio.wait({listening})
                await runner.cleanup()


async def test_a_file_that_was_changed_on_the_way_is_sent_again_a_few_times(tmp_path: Path) -> None:
    once = Broker((422, "NS_OUTPUT_NOT_AS_ANNOUNCED"))
    await once.store(tmp_path)
    assert once.came == 2
    always = Broker(*[(422, "NS_OUTPUT_NOT_AS_ANNOUNCED")] * 9)
    with pytest.raises(OutputNotSent, match="NS_OUTPUT_NOT_AS_ANNOUNCED"):
        await always.store(tmp_path)
    assert (always.came, always.waited_for) == (5, [])


@pytest.mark.parametrize(("status", "code"), [(413, "NS_OUTPUT_TOO_LARGE"), (409, "NS_LEASE_LOST")])
async def test_a_file_that_the_broker_will_never_take_is_sent_once(tmp_path: Path, status: int, code: str) -> None:
    broker = Broker((status, code))
    with pytest.raises(OutputRefused):
        await broker.store(tmp_path)
    assert broker.came == 1


@pytest.mark.parametrize(
    ("answer", "waited_for"),
    [
        ((0, ""), "the broker, which does not take it at present"),
        ((502, ""), "the broker, which does not take it at present"),
        ((503, "NS_ASSET_STORE_UNAVAILABLE"), "the asset store, which does not take it at present"),
        ((503, "NS_ASSET_STORE_FULL"), "room in the asset store"),
    ],
)
async def test_a_finished_file_is_held_while_nobody_takes_it(
    tmp_path: Path, answer: tuple[int, str], waited_for: str
) -> None:
    broker = Broker(*[answer] * 12)
    await broker.store(tmp_path)
    assert (broker.came, broker.waited_for) == (13, [waited_for] * 12)


async def test_a_finished_file_is_held_while_nothing_listens_at_the_brokers_port(tmp_path: Path) -> None:
    broker = Broker(refuses=12)
    await broker.store(tmp_path)
    assert broker.came == 1
    assert len(broker.waited_for) >= 12


async def test_it_is_not_held_for_ever(tmp_path: Path) -> None:
    broker = Broker(*[(503, "NS_ASSET_STORE_UNAVAILABLE")] * 10_000)
    with pytest.raises(OutputNotSent, match="NS_ASSET_STORE_UNAVAILABLE"):
        await broker.store(tmp_path, hold_s=0.2)
    assert broker.came > 1


async def test_a_file_that_is_gone_or_has_changed_is_waited_for_by_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for data in (None, b"longer than it was"):
        if data is not None:
            path.write_bytes(data)
        output = Output(name="a.png", path=path, media_type="image/png", size_bytes=7, sha256=SHA256)
        async with aiohttp.ClientSession() as http:
            dialling = Dialling(http_url="http://127.0.0.1:1", token=Secret("t"))
            outputs = UploadedOutputs(http, dialling, backoff=Backoff(), jitter=lambda: 0.0)
            with pytest.raises(OutputChanged):
                await outputs.store(ClaimedJob("j", "1", 1, 0, 1_000, "{}"), output, path, sent=lambda _: None)
