"""A file that is sent to the broker tells how much of it has gone, and is sent again where that may help."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from northstar.agent.dialing import Backoff, Dialling
from northstar.agent.outputs import OutputRefused, UploadedOutputs, _pieces
from northstar.connectors.contract import Output
from northstar.connectors.secret import Secret
from northstar.domain.jobs import ClaimedJob


async def test_a_file_goes_in_pieces_and_each_is_told_once_it_has_gone() -> None:
    data, told = bytes(600_000), list[int]()
    sent = bytearray()
    async for piece in _pieces(io.BytesIO(data), told.append):
        assert sum(told[-1:]) == len(sent)
        sent += piece
    assert bytes(sent) == data
    assert told == [262_144, 524_288, 600_000]


async def stored(tmp_path: Path, code: str) -> int:
    """Send a file to a broker that first answers with this code and then takes it; gives how often it came."""
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    output = Output(
        name="a.png",
        path=path,
        media_type="image/png",
        size_bytes=7,
        sha256=hashlib.sha256(b"picture").hexdigest(),
    )
    came = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal came
        came += 1
        await request.read()
        if came == 1:
            return web.json_response({"title": code, "detail": "no"}, status=422)
        ref = {"url": "file:///a", "size_bytes": 7, "sha256": output.sha256, "media_type": "image/png"}
        return web.json_response(ref, status=201)

    app = web.Application()
    app.router.add_put("/{tail:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as http:
            outputs = UploadedOutputs(
                http,
                Dialling(http_url=f"http://{host}:{port}", token=Secret("t")),
                backoff=Backoff(first_s=0.01),
                jitter=lambda: 0.5,
            )
            await outputs.store(ClaimedJob("j", "1", 1, 0, 1_000, "{}"), output, path, sent=lambda _: None)
    finally:
        await runner.cleanup()
    return came


async def test_a_file_that_was_changed_on_the_way_is_sent_again(tmp_path: Path) -> None:
    assert await stored(tmp_path, "NS_OUTPUT_NOT_AS_ANNOUNCED") == 2


async def test_a_file_that_the_broker_will_never_take_is_sent_once(tmp_path: Path) -> None:
    with pytest.raises(OutputRefused):
        await stored(tmp_path, "NS_OUTPUT_TOO_LARGE")
