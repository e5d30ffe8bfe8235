"""A fake ComfyUI, and connectors to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from northstar.connectors.comfyui import ComfyUIConnector
from tests.connectors.comfyui.rig import CALM, Connect
from tests.connectors.fake_comfyui.server import FakeComfyUI


@pytest.fixture
async def fake() -> AsyncIterator[FakeComfyUI]:
    async with FakeComfyUI(checkpoints=("tiny.safetensors",), pace_s=0.01).serving() as fake:
        yield fake


@pytest.fixture
async def connect(fake: FakeComfyUI) -> AsyncIterator[Connect]:
    made: list[ComfyUIConnector] = []

    def connect(**options: Any) -> ComfyUIConnector:
        made.append(ComfyUIConnector(fake.url, **({"patience": CALM} | options)))
        return made[-1]

    yield connect
    for connector in made:
        await connector.close()
