"""The Ollama connector before a server that keeps to Ollama's published API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from northstar.connectors.ollama import OllamaConnector
from northstar.connectors.ollama_request import OllamaOffer
from tests.connectors.conformance import ConnectorConformance, Subject
from tests.connectors.fake_ollama import EMBED_MODEL, FakeOllama, fake_ollama

ENDLESS = {"prompt": "Once", "options": {"num_predict": 30_000}}


def connector_for(ollama: FakeOllama, model: str = "storyteller") -> OllamaConnector:
    return OllamaConnector(ollama.url, OllamaOffer(model=model), max_output_bytes=9_000)


def subject_of(ollama: FakeOllama, connector: OllamaConnector, **rest: Any) -> Subject:
    async def is_working() -> bool:
        return ollama.working > 0

    async def hold_load(hold: bool) -> None:
        ollama.may_load.clear() if hold else ollama.may_load.set()

    return Subject(
        connector=connector, kind="ollama", is_working=is_working, kill=ollama.die, hold_load=hold_load, **rest
    )


class TestOllamaConnector(ConnectorConformance):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        async with fake_ollama() as ollama:
            connector = connector_for(ollama)
            yield subject_of(
                ollama,
                connector,
                good={"messages": [{"role": "user", "content": "the sea"}]},
                endless=ENDLESS,
                bad={"messages": []},
                too_much={"prompt": "the galaxy", "options": {"num_predict": 30_000}},
                nonsense={"prompt": "nonsense"},
                streams=True,
                phases=frozenset({"loading", "running"}),
            )
            await connector.close()


class TestOllamaEmbeddings(ConnectorConformance):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        async with fake_ollama() as ollama:
            connector = connector_for(ollama, EMBED_MODEL)
            yield subject_of(
                ollama,
                connector,
                good={"input": ["the sea", "the sky"]},
                endless={"input": "endless"},
                bad={"input": []},
                too_much={"input": ["x"] * 1_000},
                nonsense={"input": "nonsense"},
                phases=frozenset({"loading", "running", "storing"}),
            )
            await connector.close()
