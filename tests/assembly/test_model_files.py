"""A model file read once to know what it is: hash, size, progress; and nothing that the machine's settings forbid."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from northstar.agent.models.errors import ModelAddressPrivate, ModelSourceRefused, ModelTooLarge
from northstar.agent.models.fetch_errors import SourceMissing
from northstar.assembly.model_files import ModelFileUnreadable, ReadFile, read_file, read_source
from northstar.config import ModelSettings, load
from tests.agent.models.origin import origin

DATA = b"weights" * 1_000_000
WHOLE = ReadFile(sha256=hashlib.sha256(DATA).hexdigest(), size_bytes=len(DATA))


def settings(**changes: Any) -> ModelSettings:
    models = load(environment={}, file=None, options={"data_dir": "/nowhere"}).models
    return msgspec.structs.replace(models, **{"private_hosts": ("127.0.0.1",)} | changes)


class Heard:
    """What was told of the reading."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def __call__(self, read: int, total: int) -> None:
        self.steps.append((read, total))


async def test_a_file_of_this_machine_is_hashed_and_how_far_that_has_come_is_told(tmp_path: Path) -> None:
    heard = Heard()
    (tmp_path / "a.safetensors").write_bytes(DATA)
    assert await read_file(tmp_path / "a.safetensors", on_bytes=heard) == WHOLE
    assert len(heard.steps) > 1
    assert heard.steps[-1] == (len(DATA), len(DATA))


async def test_what_is_no_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ModelFileUnreadable, match="there is no such file, or it is no regular one"):
            await read_file(path, on_bytes=Heard())


async def test_an_address_is_read_to_its_end_and_nothing_of_it_is_kept() -> None:
    heard = Heard()
    async with origin(DATA) as server:
        found = await read_source(f"{server.url}/a", model="a", settings=settings(), on_bytes=heard)
    assert found == WHOLE
    assert heard.steps[-1] == (len(DATA), len(DATA))


async def test_what_is_larger_than_the_settings_allow_is_cut_off() -> None:
    async with origin(DATA) as server:
        with pytest.raises(ModelTooLarge, match=r"raise models\.largest_gib"):
            await read_source(f"{server.url}/a", model="a", settings=settings(largest_gib=0.001), on_bytes=Heard())


async def test_what_a_machine_with_these_settings_could_not_fetch_is_not_read_here() -> None:
    async with origin(DATA) as server:
        with pytest.raises(ModelAddressPrivate):
            await read_source(f"{server.url}/a", model="a", settings=settings(private_hosts=()), on_bytes=Heard())
        assert server.asked == []
    with pytest.raises((ModelSourceRefused, SourceMissing)):
        await read_source("file:///etc/hostname", model="a", settings=settings(), on_bytes=Heard())
