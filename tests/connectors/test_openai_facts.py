"""What an OpenAI-compatible engine says of itself, and what becomes of one that says it oddly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from northstar.connectors.errors import EngineGone
from northstar.connectors.openai_compatible import OpenAIConnector
from northstar.domain.engine_facts import EngineFacts
from northstar.domain.models import ModelHeld
from tests.connectors.conftest import Serve
from tests.connectors.fake_openai import MODEL, FakeOpenAI, fake_openai


@pytest.fixture
async def engine() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai() as engine:
        yield engine


async def facts_at(url: str, **options: Any) -> EngineFacts:
    connector = OpenAIConnector(url, **options)
    try:
        return await connector.describe()
    finally:
        await connector.close()


async def test_vllm_tells_its_version_and_the_model_that_it_holds(engine: FakeOpenAI) -> None:
    facts = await facts_at(engine.url)
    assert (facts.kind, facts.version, facts.tells_residency) == ("vllm", "0.11.2", True)
    assert facts.models == (ModelHeld(MODEL, "resident"),)


async def test_a_service_with_a_model_of_its_own_offers_no_other(engine: FakeOpenAI) -> None:
    engine.models.append({"id": "adapter", "object": "model", "owned_by": "vllm", "parent": MODEL})
    assert [model.name for model in (await facts_at(engine.url)).models] == [MODEL, "adapter"]
    assert [model.name for model in (await facts_at(engine.url, model="adapter")).models] == ["adapter"]
    assert (await facts_at(engine.url, model="another")).models == ()


async def test_an_engine_that_loads_and_unloads_says_which_is_in_memory(engine: FakeOpenAI) -> None:
    engine.models = [
        {"id": "a", "owned_by": "llamacpp", "status": {"value": "loaded"}, "meta": {"size": 7}},
        {"id": "/models/b.gguf", "owned_by": "llamacpp", "status": {"value": "unloaded"}, "meta": None},
    ]
    facts = await facts_at(engine.url)
    assert (facts.kind, facts.models) == (
        "llama.cpp",
        (ModelHeld("a", "resident", 7), ModelHeld("b.gguf", "disk")),
    )


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=404),
        web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        web.Response(body=b"<html>", content_type="text/html"),
        web.Response(body=b"[1", content_type="application/json"),
        web.json_response({"version": 7, "data": "none"}),
    ],
    ids=["no such address", "a redirect", "a page", "half an answer", "something else"],
)
async def test_of_an_engine_that_does_not_tell_nothing_is_known(serve: Serve, answer: web.Response) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=answer.status,
            body=answer.body,
            headers={k: v for k, v in answer.headers.items() if k == "Location"},
            content_type=answer.content_type,
        )

    async with serve(handler) as url:
        assert await facts_at(url) == EngineFacts(kind="openai")


async def test_an_engine_that_is_gone_is_told(engine: FakeOpenAI) -> None:
    await engine.die()
    with pytest.raises(EngineGone):
        await facts_at(engine.url)
