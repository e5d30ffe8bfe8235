"""A small installation with jobs in every state, its backup, and places to restore that to."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from northstar.assembly.backups.backup import BackUp, back_up
from northstar.assembly.backups.restore import Restored, restore
from northstar.assembly.stack import Stack, running_stack
from northstar.config import Settings, load
from northstar.domain.archives import Manifest
from northstar.store.history import HistoryReader
from northstar.store.history.reader import JobFilter
from northstar.surfaces.http.server import open_door
from tests.servers import eventually
from tests.store.history.workplace import Workplace


def new_id() -> str:
    return secrets.token_hex(13)


def settings_of(folder: Path, **options: Any) -> Settings:
    plain = {name.replace("__", "."): value for name, value in options.items()}
    return load(environment={}, options={"data_dir": str(folder)} | plain)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Stack]:
    """`up` without machines."""
    async with running_stack(settings, open_door=open_door, restart_machines=None, no_machines=True) as stack:
        yield stack


def at_work(stack: Stack) -> Workplace:
    """Words for what a machine of this stack's cell does."""
    place = Workplace(stack.cell.client, stack.cell.name)
    place.cell = stack.cell
    place._profile = "000001"  # the only one that any machine here has
    place._nonces = iter(range(secrets.randbelow(10**9), 10**10))  # type: ignore[assignment]
    return place


async def furnish(stack: Stack) -> None:
    """One job is done, one is held by machine m, two wait; the history knows what has happened."""
    place = at_work(stack)
    await stack.cell.declare(["pool:standard", "pool:fast", "service:paint"], by="test")
    await place.register("m")
    await place.run("done")
    await place.submit("held")
    await place.claim(1)
    await place.submit("waits-1", "waits-2")
    await caught_up(stack)


async def caught_up(stack: Stack) -> None:
    async def is_so() -> bool:
        counts = (await stack.cell.statistics()).counts
        return counts["event"] == counts["committed_event"]

    await eventually(is_so, what="the history has every event")


@dataclass(frozen=True)
class State:
    """What is in an installation."""

    statuses: dict[str, str]
    in_history: set[str]
    epoch: int
    history_code: str


async def state_of(stack: Stack) -> State:
    await caught_up(stack)
    found = (await stack.cell.inspect(["done", "held", "waits-1", "waits-2", "later"])).jobs
    page = await HistoryReader(stack.history, cell=stack.cell.name).finished_jobs(JobFilter(), count=100)
    counts = (await stack.cell.statistics()).counts
    return State(
        statuses={job.id: job.record.status for job in found},
        in_history={job.job_id for job in page.jobs},
        epoch=counts["epoch"],
        history_code="",
    )


async def expect_restored(settings: Settings) -> State:
    """It starts, and everything is there: what was held waits, and nobody of before can end it."""
    async with running(settings) as stack:
        state = await state_of(stack)
        assert state.statuses == {"done": "succeeded", "held": "queued", "waits-1": "queued", "waits-2": "queued"}
        assert "done" in state.in_history
        place = at_work(stack)
        await place.register("m", session="s")
        for job in ("held", "waits-1"):
            await place.may_take("m", job)
        first = await place.claim(1)
        assert [job.id for job in first] == ["held"]
        await place.complete(first)
        await caught_up(stack)
        page = await HistoryReader(stack.history, cell=stack.cell.name).finished_jobs(JobFilter(), count=100)
        assert {job.job_id for job in page.jobs} == {"done", "held"}
    return state


@dataclass(frozen=True)
class Installation:
    settings: Settings
    archive: Path
    made: BackUp


async def made_of(settings: Settings, path: Path, **more: Any) -> BackUp:
    wanted: dict[str, Any] = {"outputs": False, "history": True, "files": (), "new_id": new_id} | more
    return await back_up(settings, path, **wanted)


async def restored(settings: Settings, path: Path, **more: Any) -> Restored:
    def agree(_manifest: Manifest) -> None:
        """Nobody asks."""

    wanted: dict[str, Any] = {"replace": False, "history": True, "agree": agree, "new_id": new_id} | more
    return await restore(settings, path, **wanted)


@pytest_asyncio.fixture
async def installation(tmp_path: Path) -> Installation:
    """One that was furnished, backed up while it ran, and stopped."""
    settings = settings_of(tmp_path / "first")
    async with running(settings) as stack:
        await furnish(stack)
        made = await made_of(settings, tmp_path / "backup.zip")
    return Installation(settings, made.path, made)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a host that has nothing."""

    def settings(name: str = "second", **options: Any) -> Settings:
        return settings_of(tmp_path / name, **options)

    return settings


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} if folder.exists() else set()


def changed(settings: Settings, **changes: Any) -> Settings:
    return msgspec.structs.replace(settings, **changes)
