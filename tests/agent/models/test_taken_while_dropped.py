"""A job takes a model into use in the very moment in which it is being dropped: either it stays, or it is fetched again first."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from northstar.agent.models.errors import ModelInUse
from northstar.agent.models.files import Files
from northstar.agent.models.options import World
from tests.agent.models.builders import order, safetensors, store
from tests.agent.models.origin import origin

DATA = safetensors(100_000)


class Halting(Files):
    """Files of a disk on which whoever drops a model halts at one step until somebody else has asked in vain for that model."""

    def __init__(self, step: str) -> None:
        self.halts_at = step
        self.armed = False
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def _halt(self, step: str) -> None:
        if self.armed and self.halts_at == step:
            self.armed = False
            self.reached.set()
            assert self.go_on.wait(30), "nobody asked for the model"

    def lock(self, path: Path, *, shared: bool = False) -> int | None:
        fd = super().lock(path, shared=shared)
        if shared and fd is None:
            self.go_on.set()
        elif not shared and fd is not None and path.parent.name == "locks":
            self._halt("lock")
        return fd

    def rename(self, path: Path, to: Path) -> None:
        if to.parent.name == "trash":
            self._halt("rename")
        super().rename(path, to)


async def test_what_is_as_good_as_gone_counts_as_not_here_and_is_fetched_again(tmp_path: Path) -> None:
    files = Halting("rename")
    async with origin(DATA) as server, store(tmp_path, world=World(files=files)) as models:
        wanted = order(f"{server.url}/a", DATA)
        await models.fetch(wanted)
        files.armed = True
        dropping = asyncio.ensure_future(models.evict(wanted.name))
        await asyncio.to_thread(files.reached.wait, 30)
        async with models.using([wanted]) as (held,):
            await dropping
            assert held.path.read_bytes() == DATA


async def test_what_is_only_chosen_stays(tmp_path: Path) -> None:
    files = Halting("lock")
    async with origin(DATA) as server, store(tmp_path, world=World(files=files)) as models:
        wanted = order(f"{server.url}/a", DATA)
        inode = (await models.fetch(wanted)).facts.inode
        files.armed = True
        dropping = asyncio.ensure_future(models.evict(wanted.name))
        await asyncio.to_thread(files.reached.wait, 30)
        async with models.using([wanted]) as (held,):
            with pytest.raises(ModelInUse):
                await dropping
            assert held.path.stat().st_ino == inode
