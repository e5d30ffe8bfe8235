"""Embeddings and pictures: what comes out, and what an engine can do wrong with them; and what it says before any work."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from northstar.connectors.contract import ConnectorResult
from northstar.connectors.errors import (
    EmptyOutput,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineRejected,
    MalformedAnswer,
    ModelMissing,
)
from northstar.connectors.openai_compatible import OpenAIConnector, Task
from northstar.connectors.secret import Secret
from tests.connectors.conformance import hear_nothing
from tests.connectors.conftest import MakeJob, Serve
from tests.connectors.fake_openai import MODEL, FakeOpenAI, fake_openai, picture


@pytest.fixture
async def engine() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai() as engine:
        yield engine


async def run(
    url: str, make_job: MakeJob, payload: dict[str, Any], task: Task = "images", **rest: Any
) -> ConnectorResult:
    connector = OpenAIConnector(url, task=task, **rest)
    try:
        return await connector.run(make_job(payload), hear_nothing)
    finally:
        await connector.close()


async def test_embeddings_are_json_in_the_order_of_the_texts_with_their_usage(
    engine: FakeOpenAI, make_job: MakeJob
) -> None:
    result = await run(engine.url, make_job, {"input": ["a", "b"]}, "embeddings", model=MODEL)
    (output,) = result.outputs
    assert (output.name, output.media_type) == ("embeddings.json", "application/json")
    assert msgspec.json.decode(output.text or "") == {"embeddings": [[0.5] * 3] * 2}
    assert (result.summary["embeddings"], result.summary["dimensions"]) == (2, 3)
    assert result.summary["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
    assert engine.seen == [{"input": ["a", "b"], "model": MODEL, "encoding_format": "float"}]


async def test_many_embeddings_are_a_file(engine: FakeOpenAI, make_job: MakeJob) -> None:
    (output,) = (await run(engine.url, make_job, {"input": ["galaxy"]}, "embeddings")).outputs
    assert output.text is None
    assert output.path is not None
    assert len(msgspec.json.decode(output.path.read_bytes())["embeddings"][0]) == 5_000


async def test_every_picture_that_was_asked_for_is_a_file_of_its_true_type(
    engine: FakeOpenAI, make_job: MakeJob
) -> None:
    result = await run(engine.url, make_job, {"prompt": "the sea", "n": 2, "size": "64x64"})
    assert [(output.name, output.media_type) for output in result.outputs] == [
        ("picture-1.png", "image/png"),
        ("picture-2.png", "image/png"),
    ]
    assert engine.seen == [{"prompt": "the sea", "n": 2, "size": "64x64", "response_format": "b64_json"}]


@pytest.mark.parametrize("address", ["/files/one.png", "{url}/files/one.png"])
async def test_a_picture_by_address_is_fetched_from_the_engine_with_its_key(
    engine: FakeOpenAI, make_job: MakeJob, address: str
) -> None:
    payload = {"prompt": address.format(url=engine.url), "response_format": "url"}
    (output,) = (await run(engine.url, make_job, payload, api_key=Secret("k3y"))).outputs
    assert output.path is not None
    assert output.path.read_bytes() == picture(1)
    assert engine.keys == ["Bearer k3y"]


async def test_a_picture_elsewhere_is_fetched_only_where_the_settings_allow_and_without_the_key(
    engine: FakeOpenAI, make_job: MakeJob
) -> None:
    async with fake_openai() as elsewhere:
        payload = {"prompt": f"{elsewhere.url.replace('127.0.0.1', 'localhost')}/files/one.png"}
        with pytest.raises(MalformedAnswer, match="'localhost', which the settings do not allow"):
            await run(engine.url, make_job, payload, api_key=Secret("k3y"))
        hosts = frozenset({"localhost"})
        await run(engine.url, make_job, payload, api_key=Secret("k3y"), picture_hosts=hosts)
        assert elsewhere.keys == [None]


@pytest.mark.parametrize("address", ["file:///etc/passwd", "http://[::1", "http://169.254.169.254/latest", "//host/x"])
async def test_an_address_cannot_lead_anywhere_else(serve: Serve, make_job: MakeJob, address: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response({"data": [{"url": address}]})

    async with serve(handler) as url:
        with pytest.raises(MalformedAnswer, match="a picture at"):
            await run(url, make_job, {"prompt": "x"})


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("task", "answer", "error", "sentence"),
    [
        ("images", {"data": [{"b64_json": "not base64!"}]}, MalformedAnswer, "no base64"),
        ("images", {"data": [{"b64_json": b64(b'{"error": 1}')}]}, MalformedAnswer, "no picture but application/json"),
        ("images", {"data": [{"b64_json": b64(b"ID3 song")}]}, MalformedAnswer, "no picture but audio/mpeg"),
        (
            "images",
            {"data": [{"b64_json": b64(picture(1)[:-20])}]},
            MalformedAnswer,
            "picture 1 is cut off before its end",
        ),
        ("images", {"data": [{"b64_json": ""}]}, EmptyOutput, "picture 1 is empty"),
        ("images", {"data": [{}]}, MalformedAnswer, "neither b64_json nor url"),
        ("images", {"data": []}, MalformedAnswer, "0 pictures where 1 were asked for"),
        ("images", {"error": {"message": "out of memory", "code": 500}}, EngineFailed, "500: out of memory"),
        ("images", {"object": "error", "message": "no such size", "code": 400}, EngineRejected, "400: no such size"),
        ("embeddings", {"data": [{"index": 0, "embedding": []}]}, EmptyOutput, "an embedding is empty"),
        ("embeddings", {"data": [{"index": 0, "embedding": [0, 0.0]}]}, EmptyOutput, "an embedding is empty"),
        ("embeddings", {"data": [{"index": 0, "embedding": [None]}]}, MalformedAnswer, "no list of embeddings"),
        ("embeddings", {"data": [{"index": 0, "embedding": "AAAA"}]}, MalformedAnswer, "no list of embeddings"),
        ("embeddings", {"data": []}, MalformedAnswer, "0 embeddings for 1 inputs"),
        ("embeddings", {"choices": []}, MalformedAnswer, "no list of embeddings"),
    ],
)
async def test_a_lying_answer_has_its_class_and_its_sentence(
    serve: Serve, make_job: MakeJob, *, task: Task, answer: dict[str, Any], error: type[EngineError], sentence: str
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response(answer)

    payload = {"prompt": "x"} if task == "images" else {"input": "x"}
    async with serve(handler) as url:
        with pytest.raises(error, match=sentence):
            await run(url, make_job, payload, task)


async def test_vectors_of_different_lengths_are_refused(serve: Serve, make_job: MakeJob) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]})

    async with serve(handler) as url:
        with pytest.raises(MalformedAnswer, match="embeddings of 1 and of 2 numbers"):
            await run(url, make_job, {"input": ["a", "b"]}, "embeddings")


@pytest.mark.parametrize(
    ("task", "payload", "sentence"),
    [
        ("images", {"prompt": ""}, "`prompt` must be a string"),
        ("images", {"prompt": "x", "n": 0}, "from 1 to 10"),
        ("images", {"prompt": "x", "user_key": "k"}, "options not allowed here: 'user_key'"),
        ("embeddings", {"input": []}, "a list of 1 to 2048 strings"),
        ("embeddings", {"input": [1]}, "strings that are not empty"),
        ("embeddings", {"input": "a", "encoding_format": "base64"}, "options not allowed here: 'encoding_format'"),
        ("embeddings", {"input": "a", "model": ""}, "`model` must be a string"),
    ],
)
async def test_a_payload_that_cannot_work_never_reaches_the_engine(
    engine: FakeOpenAI, make_job: MakeJob, task: Task, payload: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(EngineRejected, match=sentence):
        await run(engine.url, make_job, payload, task)
    assert engine.seen == []


async def ready(url: str, **rest: Any) -> None:
    connector = OpenAIConnector(url, task="embeddings", **rest)
    try:
        await connector.ready()
    finally:
        await connector.close()


async def test_an_engine_that_is_not_well_is_not_asked_to_work(engine: FakeOpenAI) -> None:
    engine.healthy = False
    with pytest.raises(EngineBusy, match="503"):
        await ready(engine.url)
    assert engine.seen == []


async def test_an_engine_with_another_model_than_promised_is_not_ready(engine: FakeOpenAI) -> None:
    await ready(engine.url, model=MODEL)
    with pytest.raises(ModelMissing, match=f"no model 'llama', only {MODEL}") as caught:
        await ready(engine.url, model="llama")
    assert (caught.value.retryable, caught.value.fault) == (True, "fatal")


async def test_llama_cpp_serves_its_model_under_any_name(engine: FakeOpenAI) -> None:
    engine.models = [{"id": "/models/a.gguf", "object": "model", "owned_by": "llamacpp"}]
    await ready(engine.url, model="llama")


async def test_the_warm_up_may_be_given(engine: FakeOpenAI) -> None:
    await ready(engine.url, warm_up={"input": "warm"})
    assert engine.seen[0]["input"] == ["warm"]
