"""What Ollama is asked, what it says, and what it can do wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from northstar.connectors.contract import ConnectorResult
from northstar.connectors.errors import (
    ContextExceeded,
    CutShort,
    EmptyOutput,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineMisconfigured,
    EngineRejected,
    EngineTimeout,
    MalformedAnswer,
    ModelMissing,
    ModelUnknown,
)
from northstar.connectors.ollama import OllamaConnector, OllamaPatience
from northstar.connectors.ollama_request import OllamaOffer
from northstar.domain.models import ModelHeld
from northstar.domain.progress import Progress
from northstar.domain.progress_text import describe
from tests.connectors.conformance import hear_nothing
from tests.connectors.conftest import MakeJob, Serve
from tests.connectors.fake_ollama import CHAT_MODEL, EMBED_MODEL, FakeOllama, fake_ollama, line

CHAT = {"messages": [{"role": "user", "content": "the sea"}]}
OFFER = OllamaOffer(model="storyteller", other_models=(EMBED_MODEL,))


@pytest.fixture
async def ollama() -> AsyncIterator[FakeOllama]:
    async with fake_ollama() as ollama:
        yield ollama


async def run(
    url: str, make_job: MakeJob, payload: dict[str, Any], report: Callable[[Progress], None] = hear_nothing, **rest: Any
) -> ConnectorResult:
    connector = OllamaConnector(url, rest.pop("offer", OFFER), **rest)
    try:
        return await connector.run(make_job(payload), report)
    finally:
        await connector.close()


async def ready(url: str, offer: OllamaOffer = OFFER) -> None:
    connector = OllamaConnector(url, offer)
    try:
        await connector.ready()
    finally:
        await connector.close()


async def test_the_user_hears_that_the_model_loads_and_then_the_words(ollama: FakeOllama, make_job: MakeJob) -> None:
    news: list[Progress] = []
    result = await run(ollama.url, make_job, CHAT, news.append)
    assert [describe(report) for report in news[:2]] == ["loading storyteller", "running"]
    assert result.outputs[0].text == "".join(report.tokens or "" for report in news)
    assert result.summary["usage"] == {"prompt_tokens": 7, "completion_tokens": 20, "total_tokens": 27}
    assert (result.summary["finish_reason"], result.summary["load_s"]) == ("length", 1.0)


async def test_it_says_where_the_offered_models_are_by_the_names_that_are_offered(ollama: FakeOllama) -> None:
    offer = OllamaOffer(model="storyteller", other_models=(EMBED_MODEL, "not-pulled"))
    connector = OllamaConnector(ollama.url, offer)
    before = await connector.describe()
    assert (before.kind, before.version, before.tells_residency) == ("ollama", "0.12.6", True)
    assert before.models == (ModelHeld("storyteller", "disk", 5), ModelHeld(EMBED_MODEL, "disk", 5))
    ollama.resident.add("storyteller:latest")
    assert (await connector.describe()).models[0] == ModelHeld("storyteller", "resident", 5)
    await connector.close()


async def test_a_model_in_memory_is_not_loaded_again(ollama: FakeOllama, make_job: MakeJob) -> None:
    ollama.resident.add(CHAT_MODEL)
    await run(ollama.url, make_job, CHAT)
    assert [kind for kind, _body in ollama.seen] == ["chat"]


async def test_loading_for_an_unloading_service_does_not_unload(ollama: FakeOllama, make_job: MakeJob) -> None:
    offer = OllamaOffer(model="storyteller", keep_alive=0)
    await run(ollama.url, make_job, CHAT, offer=offer)
    (loading, first), (chat, second) = ollama.seen
    assert (loading, chat) == ("generate", "chat")
    assert "keep_alive" not in first
    assert second["keep_alive"] == 0


async def test_a_request_is_what_the_job_asked_for_with_what_the_settings_say(
    ollama: FakeOllama, make_job: MakeJob
) -> None:
    ollama.resident.add(CHAT_MODEL)
    payload = CHAT | {"options": {"seed": 3}, "format": "json", "stream": False}
    await run(ollama.url, make_job, payload, offer=OllamaOffer(model="storyteller", keep_alive="30m"))
    rest = {"model": "storyteller", "keep_alive": "30m", "truncate": False, "stream": True}
    assert ollama.seen == [("chat", CHAT | {"options": {"seed": 3}, "format": "json"} | rest)]


async def test_embeddings_are_one_vector_for_each_text(ollama: FakeOllama, make_job: MakeJob) -> None:
    result = await run(ollama.url, make_job, {"input": ["ab", "abc"], "model": EMBED_MODEL})
    (output,) = result.outputs
    assert msgspec.json.decode(output.text or "") == {"embeddings": [[0.1, 0.2, 0.02], [0.1, 0.2, 0.03]]}
    assert result.summary["dimensions"] == 3


async def test_what_is_on_disk_and_what_is_in_memory_can_be_asked(ollama: FakeOllama) -> None:
    connector = OllamaConnector(ollama.url, OFFER)
    ollama.resident.add(CHAT_MODEL)
    assert [model.name for model in await connector.models.on_disk()] == [CHAT_MODEL, EMBED_MODEL]
    assert [(model.name, model.size_vram) for model in await connector.models.resident()] == [(CHAT_MODEL, 4)]
    await connector.close()


@pytest.mark.parametrize("model", ["llama3", "storyteller:70b"])
async def test_a_model_that_was_not_pulled_is_named_and_not_pulled(
    ollama: FakeOllama, make_job: MakeJob, model: str
) -> None:
    offer = OllamaOffer(model=model)
    with pytest.raises(ModelMissing, match=f"no model '{model}', only {CHAT_MODEL}, .* nothing is pulled by itself"):
        await ready(ollama.url, offer)
    with pytest.raises(ModelMissing, match=f"no model '{model}'"):
        await run(ollama.url, make_job, CHAT, offer=offer)


async def test_a_model_on_somebody_elses_computer_is_not_here(ollama: FakeOllama) -> None:
    ollama.remote.add(CHAT_MODEL)
    with pytest.raises(ModelMissing, match=r"it runs at https://elsewhere\.test, not here"):
        await ready(ollama.url)


async def test_the_warm_up_is_one_token_or_one_vector(ollama: FakeOllama) -> None:
    await ready(ollama.url)
    await ready(ollama.url, OllamaOffer(model=EMBED_MODEL))
    (_, loading), (_, words), (_, nothing), (kind, text) = ollama.seen
    assert "prompt" not in loading
    assert words["options"] == {"num_predict": 1}
    assert (nothing["input"], kind, text["input"]) == ([], "embed", "Hello")


@pytest.mark.parametrize(
    ("payload", "error", "sentence"),
    [
        ({}, EngineRejected, "exactly one of `messages`, `prompt` and `input`"),
        (CHAT | {"prompt": "x"}, EngineRejected, "exactly one of"),
        ({"messages": ["x"]}, EngineRejected, "a list of objects"),
        ({"prompt": ""}, EngineRejected, "a string that is not empty"),
        ({"prompt": "x", "keep_alive": -1}, EngineRejected, "options not allowed here: 'keep_alive'"),
        ({"prompt": "x", "options": {"num_gpu": 0}}, EngineRejected, "options not allowed here: 'num_gpu'"),
        ({"prompt": "x", "options": []}, EngineRejected, "`options` must be an object"),
        ({"prompt": "x", "model": "gpt-oss:120b-cloud"}, ModelUnknown, "offered are storyteller, all-minilm:latest"),
        ({"prompt": "x", "model": 3}, EngineRejected, "`model` must be a string"),
    ],
)
async def test_a_payload_that_cannot_work_never_reaches_ollama(
    ollama: FakeOllama, make_job: MakeJob, payload: dict[str, Any], error: type[EngineError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        await run(ollama.url, make_job, payload)
    assert ollama.seen == []


def says(status: int, body: str, content_type: str = "application/json") -> Callable[[], web.StreamResponse]:
    return lambda: web.Response(status=status, text=body, content_type=content_type)


def lines(*values: dict[str, Any]) -> Callable[[], web.StreamResponse]:
    return says(200, b"".join(map(line, values)).decode(), "application/x-ndjson")


HI = {"model": "m", "message": {"content": "hi"}, "done": False}
END = {"model": "m", "message": {"content": ""}, "done": True, "done_reason": "stop"}


@pytest.mark.parametrize(
    ("lie", "error", "sentence"),
    [
        (says(503, '{"error":"server busy, please try again"}'), EngineBusy, "server busy"),
        (says(500, '{"error":"llama runner process has terminated"}'), EngineFailed, "has terminated"),
        (says(400, '{"error":"does not support chat"}'), EngineRejected, "does not support chat"),
        (
            says(400, '{"error":{"code":400,"type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":4}}'),
            ContextExceeded,
            "9 tokens, 4 fit",
        ),
        (says(404, "404 page not found", "text/plain"), EngineMisconfigured, "404 page not found"),
        (says(404, '{"error":"model not found"}'), ModelMissing, "storyteller"),
        (says(200, '{"error":"lied"}'), EngineFailed, "lied"),
        (says(200, "<html>", "text/html"), MalformedAnswer, "'text/html' instead of application/x-ndjson"),
        (lines(HI, {"error": "an error while running the model"}), EngineFailed, "while running the model"),
        (lines(HI), MalformedAnswer, "ended before a line with `done`"),
        (lines(END), EmptyOutput, "is empty"),
        (lines(END | {"done_reason": "length"}), CutShort, "is empty"),
        (lines({"message": "text"}), MalformedAnswer, "no part of an answer"),
        (says(200, "x" * 1_100_000, "application/x-ndjson"), MalformedAnswer, "a line of more than"),
    ],
)
async def test_a_fault_has_its_class_and_its_sentence(
    ollama: FakeOllama,
    make_job: MakeJob,
    lie: Callable[[], web.StreamResponse],
    error: type[EngineError],
    sentence: str,
) -> None:
    ollama.resident.add(CHAT_MODEL)
    ollama.lies["chat"] = lie
    with pytest.raises(error, match=sentence):
        await run(ollama.url, make_job, CHAT)


async def test_a_last_line_without_its_line_feed_counts(ollama: FakeOllama, make_job: MakeJob) -> None:
    ollama.lies["chat"] = says(200, (line(HI) + line(END).strip()).decode(), "application/x-ndjson")
    assert (await run(ollama.url, make_job, CHAT)).outputs[0].text == "hi"


async def test_thoughts_are_no_text(ollama: FakeOllama, make_job: MakeJob) -> None:
    thought = {"model": "m", "message": {"content": "", "thinking": "hm"}, "done": False}
    ollama.lies["chat"] = lines(thought, HI, END)
    assert (await run(ollama.url, make_job, CHAT)).outputs[0].text == "hi"


async def test_a_model_that_does_not_load_in_time_says_so(ollama: FakeOllama, make_job: MakeJob) -> None:
    ollama.may_load.clear()
    with pytest.raises(EngineTimeout, match=r"no loaded model within 0\.05 s") as caught:
        await run(ollama.url, make_job, CHAT, patience=OllamaPatience(load_s=0.05))
    assert caught.value.fault == "engine"


async def test_silence_has_an_end(ollama: FakeOllama, make_job: MakeJob, serve: Serve) -> None:
    import asyncio

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/api/ps":
            return web.json_response({"models": [{"name": CHAT_MODEL}]})
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        await response.write(line(HI))
        await asyncio.Event().wait()
        return response

    async with serve(handler) as url:
        with pytest.raises(EngineTimeout, match=r"no next token within 0\.1 s"):
            await run(url, make_job, CHAT, patience=OllamaPatience(between_tokens_s=0.1))


async def test_something_else_at_the_address_is_no_ollama(serve: Serve) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"hello": "world"})

    async with serve(handler) as url:
        with pytest.raises(MalformedAnswer, match=r"no answer of Ollama's"):
            await ready(url)
