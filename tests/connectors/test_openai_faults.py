"""What an engine can do wrong that a healthy llama.cpp never shows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from northstar.connectors.errors import (
    ContextExceeded,
    CutShort,
    EmptyOutput,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineGone,
    EngineMisconfigured,
    EngineRejected,
    EngineTimeout,
    MalformedAnswer,
    ModelMissing,
    ModelUnknown,
)
from northstar.connectors.openai_compatible import OpenAIConnector
from northstar.connectors.openai_line import Patience
from northstar.connectors.secret import Secret
from northstar.demo.text_engine import EngineSettings, TextEngine
from northstar.domain.progress import Progress
from tests.connectors.conformance import hear_nothing
from tests.connectors.conftest import Handler, MakeJob, Serve

HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
CHAT = {"messages": [{"role": "user", "content": "hi"}]}
CALM = Patience(connect_s=10.0, first_token_s=10.0, between_tokens_s=10.0, total_s=30.0)
QUICK = Patience(connect_s=10.0, first_token_s=0.2, between_tokens_s=0.2, total_s=30.0)

Run = Callable[..., Awaitable[str]]


def streams(
    *parts: bytes, hang: bool = False, break_off: bool = False, content_type: str = "text/event-stream"
) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if hang:
            await asyncio.Event().wait()
        if break_off and request.transport is not None:
            request.transport.abort()
        return response

    return handler


def answers(status: int, body: str, **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, text=body, content_type="application/json", headers=headers)

    return handler


@pytest.fixture
def run(serve: Serve, make_job: MakeJob) -> Run:
    async def run(handler: Handler, patience: Patience = CALM) -> str:
        async with serve(handler) as url:
            connector = OpenAIConnector(url, patience=patience, max_output_bytes=1_000)
            try:
                result = await connector.run(make_job(CHAT), hear_nothing)
            finally:
                await connector.close()
        return result.outputs[0].text or ""

    return run


async def test_an_answer_without_the_final_done_is_whole_if_it_says_why_it_finished(run: Run) -> None:
    assert await run(streams(HELLO, FINISH)) == "hello"


async def test_an_answer_of_one_byte_chunks_with_comments_and_crlf_is_the_same_text(run: Run) -> None:
    stream = (b": alive\n\n" + HELLO + b": alive\n\n" + FINISH + DONE).replace(b"\n", b"\r\n")
    assert await run(streams(*(bytes([byte]) for byte in stream))) == "hello"


@pytest.mark.parametrize(
    ("handler", "error", "sentence"),
    [
        (streams(HELLO, break_off=True), EngineGone, "the engine is gone"),
        (streams(HELLO), MalformedAnswer, "ended before a finish_reason"),
        (streams(DONE), MalformedAnswer, "ended before a finish_reason"),
        (streams(FINISH, DONE), EmptyOutput, "is empty; look at the request's limits"),
        (streams(b"data: {not json\n\n"), MalformedAnswer, "no completion chunk"),
        (streams(b'data: {"choices":"none"}\n\n'), MalformedAnswer, "no completion chunk"),
        (streams(b"data: " + b"x" * 1_100_000), MalformedAnswer, "a line of more than"),
        (
            streams(HELLO, b'data: {"error":{"code":500,"message":"out of tiles"}}\n\n'),
            EngineFailed,
            "500: out of tiles",
        ),
        (streams(HELLO, b'error: {"code":503,"message":"loading"}\n\n'), EngineBusy, "503: loading"),
        (streams(b'data: {"error":{"code":400,"message":"too long"}}\n\n'), EngineRejected, "400: too long"),
        (streams(HELLO, b'data: {"error":"a mere string"}\n\n'), EngineFailed, "a mere string"),
        (streams(HELLO, b"event: error\ndata: no json\n\n"), EngineFailed, "no json"),
        (streams(b"<html>", content_type="text/html"), MalformedAnswer, "'text/html' instead of text/event-stream"),
        (answers(200, '{"error":{"code":400,"message":"no such model"}}'), EngineRejected, "400: no such model"),
        (answers(200, '{"choices":[]}'), MalformedAnswer, "'application/json' instead of"),
        (answers(404, "not here"), EngineMisconfigured, "404: not here"),
        (answers(401, '{"error":{"message":"bad key"}}'), EngineMisconfigured, "401: bad key"),
        (answers(429, "{}", **{"Retry-After": "7"}), EngineBusy, "try again in 7 s"),
        (answers(503, '{"error":{"code":400,"message":"odd"}}'), EngineBusy, "503: odd"),
        (
            answers(
                429, "{}", **{"Retry-After": "Wed, 21 Oct 2026 07:28:10 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
            ),
            EngineBusy,
            "try again in 10 s",
        ),
        (answers(503, "{}", **{"Retry-After": "soon"}), EngineBusy, "try again later"),
        (
            answers(400, '{"error":{"code":400,"type":"exceed_context_size_error","n_prompt_tokens":99,"n_ctx":64}}'),
            ContextExceeded,
            "99 tokens, 64 fit",
        ),
        (
            answers(400, '{"error":{"code":400,"type":"BadRequestError","param":"input_tokens","message":"long"}}'),
            ContextExceeded,
            "more tokens than the model can take: 400: long",
        ),
        (answers(400, '{"error":{"code":"context_length_exceeded","message":"long"}}'), ContextExceeded, "400: long"),
        (
            streams(b'data: {"error":{"code":400,"type":"exceed_context_size_error","message":"long"}}\n\n'),
            ContextExceeded,
            "long",
        ),
        (
            answers(400, '{"object":"error","message":"bad seed","type":"BadRequestError","code":400}'),
            EngineRejected,
            "400: bad seed",
        ),
        (
            streams(HELLO, b'data: {"object":"error","message":"executor died","code":500}\n\n'),
            EngineFailed,
            "500: executor died",
        ),
        (answers(400, "{\"error\":\"[{'loc': 'messages'}]\"}"), EngineRejected, "400: .*messages"),
        (
            answers(404, '{"error":{"code":404,"type":"NotFoundError","param":"model","message":"no such model"}}'),
            ModelMissing,
            "nothing is pulled by itself",
        ),
        (answers(404, '{"detail":"Not Found"}'), EngineMisconfigured, "404: Not Found"),
        (
            answers(500, '{"error":{"code":500,"type":"InternalServerError","message":"EngineCore is dead"}}'),
            EngineFailed,
            "500: EngineCore is dead",
        ),
        (
            streams(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n', DONE),
            CutShort,
            "is empty; look at the request's limits",
        ),
        (answers(504, "late"), EngineTimeout, "within the engine's own limit"),
        (answers(500, "oh"), EngineFailed, "500: oh"),
        (answers(302, "", Location="http://127.0.0.1:9/"), MalformedAnswer, "a redirect"),
    ],
)
async def test_a_fault_has_its_class_and_its_sentence(
    run: Run, handler: Handler, error: type[EngineError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        await run(handler)


@pytest.mark.parametrize(
    ("handler", "awaited"),
    [
        (streams(hang=True), "first token"),
        (streams(b": alive\n\n", hang=True), "first token"),
        (streams(b": alive\n\n", HELLO, hang=True), "(first|next) token"),
    ],
)
async def test_silence_has_an_end_even_on_a_living_connection(run: Run, handler: Handler, awaited: str) -> None:
    with pytest.raises(EngineTimeout, match=rf"no {awaited} within 0\.2 s; raise that limit"):
        await run(handler, QUICK)


async def test_nobody_at_the_address_is_an_engine_that_is_gone(serve: Serve, make_job: MakeJob) -> None:
    async with serve(streams()) as url:
        pass
    connector = OpenAIConnector(url, patience=CALM)
    with pytest.raises(EngineGone, match="check that its process runs and listens"):
        await connector.run(make_job(CHAT), hear_nothing)
    with pytest.raises(EngineGone):
        await connector.ready()
    await connector.close()


async def test_a_model_that_only_the_job_names_is_the_jobs_mistake(serve: Serve, make_job: MakeJob) -> None:
    body = '{"error":{"code":"model_not_found","message":"no such model"}}'
    async with serve(answers(404, body)) as url:
        connector = OpenAIConnector(url, patience=CALM, model="right")
        with pytest.raises(ModelUnknown, match="no model 'wrong' is offered here") as asked:
            await connector.run(make_job(CHAT | {"model": "wrong"}), hear_nothing)
        with pytest.raises(ModelMissing, match="no model 'right'") as promised:
            await connector.run(make_job(CHAT), hear_nothing)
        await connector.close()
    assert (asked.value.retryable, asked.value.fault) == (False, "none")
    assert (promised.value.retryable, promised.value.fault) == (True, "fatal")


async def test_an_engine_that_still_loads_is_not_ready(serve: Serve) -> None:
    async with serve(answers(503, '{"error":{"code":503,"message":"Loading model"}}')) as url:
        connector = OpenAIConnector(url, patience=CALM)
        with pytest.raises(EngineBusy, match="Loading model"):
            await connector.ready()
        await connector.close()


async def test_thoughts_keep_the_patience_but_are_no_text(serve: Serve, make_job: MakeJob) -> None:
    thought = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n'
    async with serve(streams(thought, thought, HELLO, FINISH, DONE)) as url:
        connector = OpenAIConnector(url, patience=CALM)
        news: list[Progress] = []
        result = await connector.run(make_job(CHAT), news.append)
        await connector.close()
    assert result.outputs[0].text == "hello"
    assert [(report.phase, report.tokens) for report in news] == [("running", None), ("running", "hello")]


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({}, "exactly one of `messages` and `prompt`"),
        ({"messages": [], "prompt": "a"}, "exactly one of"),
        ({"messages": []}, "a list of objects that is not empty"),
        ({"messages": ["hi"]}, "a list of objects"),
        ({"prompt": ""}, "a string that is not empty"),
        ({"prompt": "a", "n": 3}, "one job is one answer"),
        ({"prompt": "a", "model": 3}, "`model` must be a string"),
        ({"prompt": "a", "model": ""}, "`model` must be a string that is not empty"),
        (
            {"prompt": "a", "slot_save_path": "/etc", "id_slot": 1},
            "options not allowed here: 'id_slot', 'slot_save_path'",
        ),
    ],
)
async def test_a_payload_that_cannot_work_never_reaches_the_engine(
    make_job: MakeJob, payload: dict[str, object], sentence: str
) -> None:
    connector = OpenAIConnector("http://127.0.0.1:9")
    with pytest.raises(EngineRejected, match=sentence):
        await connector.run(make_job(payload), hear_nothing)


async def test_only_allowed_options_travel_and_the_model_is_named(serve: Serve, make_job: MakeJob) -> None:
    seen: list[dict[str, object]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        return await streams(HELLO, FINISH, DONE)(request)

    async with serve(handler) as url:
        connector = OpenAIConnector(f"{url}/v1/", model="m", extra_options=frozenset({"adapter"}))
        await connector.run(make_job(CHAT | {"temperature": 0.1, "adapter": "x", "stream": False}), hear_nothing)
        await connector.close()
    assert seen == [
        CHAT
        | {
            "temperature": 0.1,
            "adapter": "x",
            "model": "m",
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


@pytest.mark.parametrize("url", ["ftp://host", "host:80", "http://me:secret@host", "http://host?key=secret", "http://"])
def test_an_address_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="engine's address must") as caught:
        OpenAIConnector(url)
    assert "secret" not in str(caught.value)


async def test_a_key_opens_the_real_engine_and_shows_nowhere(tiny_model: object, make_job: MakeJob) -> None:
    engine = await TextEngine.start(EngineSettings(model=str(tiny_model), api_key="k3y-of-the-engine"))
    try:
        connector = OpenAIConnector(engine.url, api_key=Secret("k3y-of-the-engine"))
        await connector.ready()
        assert "k3y" not in repr(connector) + repr(vars(connector)) + repr(Secret("k3y-of-the-engine"))
        await connector.close()
        stranger = OpenAIConnector(engine.url, api_key=Secret("wrong-key"))
        with pytest.raises(EngineMisconfigured, match="401") as caught:
            await stranger.run(make_job({"prompt": "a"}), hear_nothing)
        assert "wrong-key" not in repr(caught.value)
        await stranger.close()
    finally:
        await engine.stop()


@pytest.mark.parametrize("value", ["", "with space", "line\nbreak", "ümlaut"])
def test_a_secret_that_no_header_can_carry_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        Secret(value)
