"""What the SDK makes of a server that fails: repeated where it may be, and never a job twice."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from northstar.client import AnswerUnreadable, AsyncClient, RequestInvalid, ServerUnavailable
from northstar.client.async_client import FileDamaged
from northstar.client.patience import Patience
from northstar.domain.job_resources import JobFile, SubmittedJob, links

HASTY = Patience(total_s=5.0, first_s=0.01, longest_s=0.05)
Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def server(answer: Answering) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def taken(job_id: str) -> web.Response:
    told = SubmittedJob(
        id=job_id, replayed=False, pool="standard", because="x", unservable="", actions=(), urls=links(job_id)
    )
    return web.Response(status=202, body=msgspec.json.encode(told), content_type="application/json")


def problem(status: int, code: str, **headers: str) -> web.Response:
    body = {"type": "about:blank", "title": code, "status": status, "detail": "no", "retryable": False}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")


async def test_a_submit_whose_answer_is_lost_is_sent_again_as_the_same_job() -> None:
    seen: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        if len(seen) == 1:
            assert request.transport is not None
            request.transport.close()  # taken in, and nobody hears of it
        return problem(503, "NS_UNAVAILABLE") if len(seen) == 2 else taken("j")

    async with server(answer) as url, AsyncClient(url, key="nsk_x", patience=HASTY) as north:
        assert (await north.submit("s", {"a": 1})).id == "j"
    assert len(seen) == 3
    assert len({one["idempotency_key"] for one in seen}) == 1


async def test_the_server_says_when_to_come_back() -> None:
    calls: list[float] = []

    async def answer(_: web.Request) -> web.StreamResponse:
        calls.append(0)
        return problem(503, "NS_UNAVAILABLE", **{"Retry-After": "3600"})

    async with server(answer) as url, AsyncClient(url, key="nsk_x", patience=HASTY) as north:
        with pytest.raises(Exception, match="NS_UNAVAILABLE") as refused:
            await north.submit("s")
    assert refused.value.retry_after_s == 3600  # type: ignore[attr-defined]
    assert len(calls) == 1  # an hour is more than its patience


async def test_what_can_never_work_is_asked_once() -> None:
    calls: list[int] = []

    async def answer(_: web.Request) -> web.StreamResponse:
        calls.append(1)
        return problem(422, "NS_INVALID_JOB")

    async with server(answer) as url, AsyncClient(url, key="nsk_x", patience=HASTY) as north:
        with pytest.raises(RequestInvalid):
            await north.submit("s")
    assert calls == [1]


@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b'{"id": 3}', b"\xff"])
async def test_what_is_no_answer_of_a_north_star_server_is_named(text: bytes) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=text)

    async with server(answer) as url, AsyncClient(url, key="nsk_x", patience=HASTY) as north:
        with pytest.raises(AnswerUnreadable, match="is that address a North Star server"):
            await north.submit("s")


async def test_a_stream_of_events_goes_on_where_it_broke_off_and_tells_each_change_once() -> None:
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        first = 1 if asked[-1] is None else int(asked[-1].partition("-")[2]) + 1
        for number in range(first, min(first + 2, 5)):
            await response.write(f'id: 1-{number}\nevent: job.step\ndata: {{"n": {number}}}\n\n'.encode())
        await response.write(b'event: progress\ndata: {"lossy": true}\n\n')
        if first + 2 <= 4:
            assert request.transport is not None
            request.transport.abort()
        return response

    async with server(answer) as url, AsyncClient(url, key="nsk_x", patience=HASTY) as north:
        events = [event async for event in north.job("j").events()]
    assert [event.data["n"] for event in events if event.id] == [1, 2, 3, 4]
    assert asked == [None, "1-2"]


async def test_a_stream_that_stays_away_is_given_up_in_the_end() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with server(answer) as url, AsyncClient(url, key="nsk_x") as north:
        from northstar.client import job_events

        with pytest.raises(ServerUnavailable):
            async for _ in job_events.read_events(
                north._transport,
                "/v1/jobs/j/events",
                after="",
                silence_s=5,
                patience=Patience(total_s=0.1, first_s=0.02),
            ):
                pass


@pytest.mark.parametrize("told", ["whole", "short", "other"])
async def test_a_file_is_saved_whole_and_verified_or_not_at_all(told: str, tmp_path: Path) -> None:
    whole = b"picture" * 1_000
    sent = {"whole": whole, "short": whole[:-1], "other": b"x" * len(whole)}[told]
    file = JobFile(
        name="a/b.png",
        media_type="image/png",
        size_bytes=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
        url="/v1/jobs/j/files/a/b.png",
    )

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/files"):
            return web.Response(body=msgspec.json.encode([file]), content_type="application/json")
        return web.Response(body=sent)

    async with server(answer) as url, AsyncClient(url, key="nsk_x", patience=HASTY) as north:
        if told == "whole":
            assert await north.job("j").save(tmp_path) == [tmp_path / "a" / "b.png"]
            assert (tmp_path / "a" / "b.png").read_bytes() == whole
            with pytest.raises(FileExistsError):
                await north.job("j").save(tmp_path)
        else:
            with pytest.raises(FileDamaged):
                await north.job("j").save(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == (["b.png"] if told == "whole" else [])


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\0b", "", "a//b", "..\\x"])
async def test_the_name_of_a_file_leads_nowhere_else(name: str, tmp_path: Path) -> None:
    file = JobFile(name=name, media_type="x", size_bytes=0, sha256="0" * 64, url="/v1/x")

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=msgspec.json.encode([file]), content_type="application/json")

    folder = tmp_path / "folder"
    async with server(answer) as url, AsyncClient(url, key="nsk_x", patience=HASTY) as north:
        with pytest.raises(ValueError, match="leads out of the folder"):
            await north.job("j").save(folder)
    assert list(tmp_path.rglob("*")) == []


async def test_a_quiet_stream_that_breaks_is_opened_again_however_long_it_was_quiet() -> None:
    """Signs of life are none of the failures that patience counts, and neither is a proxy that answers while a broker starts anew."""
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        if len(asked) == 2:
            return web.Response(status=502, text="bad gateway")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if len(asked) == 1:
            await response.write(b"id: 1-1\nevent: job.submitted\ndata: {}\n\n")
            await response.write(b": alive\n\n")
            assert request.transport is not None
            request.transport.abort()
        else:
            await response.write(b"id: 1-2\nevent: job.succeeded\ndata: {}\n\n")
        return response

    async with server(answer) as url, AsyncClient(url, key="nsk_x", patience=HASTY) as north:
        kinds = [event.kind async for event in north.job("j").events()]
    assert kinds == ["job.submitted", "job.succeeded"]
    assert asked == [None, "1-1", "1-1"]


async def test_a_netrc_of_the_user_is_none_of_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login bob password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return taken("j")

    async with server(answer) as url, AsyncClient(url, key="nsk_x", patience=HASTY) as north:
        await north.submit("s")
    assert seen == ["Bearer nsk_x"]


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(str(request.url))
        return taken("j")

    async with server(answer) as url:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "")
        async with AsyncClient("http://north.example", key="nsk_x", patience=HASTY) as north:
            await north.submit("s")
    assert seen == ["http://north.example/v1/jobs"]
