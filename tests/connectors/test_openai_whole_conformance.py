"""The OpenAI connector before an engine for embeddings, and before one for pictures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from northstar.connectors.openai_compatible import OpenAIConnector
from tests.connectors.conformance import ConnectorConformance, Subject
from tests.connectors.fake_openai import MODEL, FakeOpenAI, fake_openai


def subject_of(engine: FakeOpenAI, connector: OpenAIConnector, **rest: Any) -> Subject:
    async def is_working() -> bool:
        return engine.working > 0

    return Subject(
        connector=connector,
        kind="vllm",
        is_working=is_working,
        kill=engine.die,
        phases=frozenset({"running", "storing"}),
        **rest,
    )


class TestOpenAIEmbeddings(ConnectorConformance):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        async with fake_openai() as engine:
            connector = OpenAIConnector(engine.url, task="embeddings", model=MODEL, max_output_bytes=9_000)
            yield subject_of(
                engine,
                connector,
                good={"input": ["the sea", "the sky"]},
                endless={"input": "endless"},
                bad={"input": [""]},
                too_much={"input": "galaxy"},
                nonsense={"input": "nonsense"},
            )
            await connector.close()


class TestOpenAIImages(ConnectorConformance):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        async with fake_openai() as engine:
            connector = OpenAIConnector(engine.url, task="images", model=MODEL, max_output_bytes=100_000)
            yield subject_of(
                engine,
                connector,
                good={"prompt": "the sea"},
                endless={"prompt": "endless"},
                bad={"prompt": "the sea", "n": 11},
                too_much={"prompt": "the galaxy"},
                nonsense={"prompt": "nonsense"},
            )
            await connector.close()
