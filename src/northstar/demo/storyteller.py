"""The built-in engine `storyteller`: llama.cpp's server with the tiny model that is written here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from northstar.demo.text_engine import TextEngine, text_engine
from northstar.demo.tiny_model import write_tiny_model


@asynccontextmanager
async def storyteller(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[TextEngine]:
    """Write the model into `folder` and serve it; the engine finds `environment` beside this process's own.

    Raises:
        DemoPartMissing: the packages of the extra `demo` are not installed. TextEngineFailed: it does not start.
    """
    model = await asyncio.to_thread(write_tiny_model, folder / "storyteller.gguf")
    async with text_engine(model, environment=environment) as engine:
        yield engine
