"""While jobs run, fetches keep to their rate; and never more than so many run at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from northstar.agent.model_runner import ModelRunner
from northstar.agent.models.options import World
from northstar.agent.models.store import ModelStore
from northstar.domain.jobs import ClaimedJob, JobBody
from northstar.domain.models import ModelNeed, ModelOrder
from northstar.domain.progress import Progress
from northstar.domain.requirements import Requirements
from tests.agent.models.builders import order, safetensors, store
from tests.agent.models.origin import origin

DATA = safetensors(1_000_000)


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


async def test_fetches_are_slowed_down_while_a_job_runs_and_free_otherwise(tmp_path: Path) -> None:
    time = Time()
    world = World(clock=lambda: time.now_s, sleep=time.sleep)
    async with origin(DATA) as server, store(tmp_path, world=world, busy_bytes_per_s=100_000.0) as models:
        await models.fetch(order(f"{server.url}/a", DATA))
        assert time.now_s == 0
        with models.use(()):
            await models.fetch(order(f"{server.url}/b", DATA, name="b.safetensors"))
        assert 9 <= time.now_s <= 11


class FetchesMeanwhile:
    """A runner of one job, during which a model comes that somebody else has ordered."""

    def __init__(self, models: ModelStore, order: ModelOrder) -> None:
        self._models = models
        self._order = order

    async def run(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        await self._models.fetch(self._order)
        return "{}"


@pytest.mark.parametrize("needs", [(), (ModelNeed(name="of-the-engine.safetensors"),)], ids=["no model", "a model"])
async def test_a_job_slows_fetches_down_whether_it_names_models_or_not(
    tmp_path: Path, needs: tuple[ModelNeed, ...]
) -> None:
    time = Time()
    world = World(clock=lambda: time.now_s, sleep=time.sleep)
    body = msgspec.json.encode(JobBody(service="s", payload={}, requires=Requirements(models=needs))).decode()
    async with origin(DATA) as server, store(tmp_path, world=world, busy_bytes_per_s=100_000.0) as models:
        runner = ModelRunner(FetchesMeanwhile(models, order(f"{server.url}/a", DATA)), models)
        await runner.run(ClaimedJob("j", "1.n.1", 1, 0, 30_000, body), lambda _: None)
        assert 9 <= time.now_s <= 11
        await models.fetch(order(f"{server.url}/b", DATA, name="b.safetensors"))
        assert time.now_s <= 11


async def test_the_cap_is_no_reason_to_call_a_fetch_too_slow(tmp_path: Path) -> None:
    time = Time()
    world = World(clock=lambda: time.now_s, sleep=time.sleep)
    async with origin(DATA) as server, store(tmp_path, world=world, busy_bytes_per_s=1_000.0) as models:
        with models.use(()):
            await models.fetch(order(f"{server.url}/a", DATA))
    assert time.now_s > 900


async def test_only_so_many_fetches_run_at_a_time_and_the_others_wait_their_turn(tmp_path: Path) -> None:
    async with origin(DATA) as server, store(tmp_path, parallel=1) as models:
        server.gate = asyncio.Event()
        fetches = [
            asyncio.ensure_future(models.fetch(order(f"{server.url}/{name}", DATA, name=f"{name}.safetensors")))
            for name in "abc"
        ]
        await server.half_sent.wait()
        assert len(models.fetching()) == 3
        assert len(server.asked) == 1
        server.gate.set()
        await asyncio.gather(*fetches)
        assert len(server.asked) == 3


async def test_how_fast_the_line_is_gets_measured(tmp_path: Path) -> None:
    data = safetensors(6_000_000)
    time = Time()
    world = World(clock=lambda: time.now_s, sleep=time.sleep)
    async with origin(data) as server, store(tmp_path, world=world, busy_bytes_per_s=1_000_000.0) as models:
        assert models.bytes_per_s == 0
        with models.use(()):
            await models.fetch(order(f"{server.url}/a", data))
        assert 300_000 <= models.bytes_per_s <= 3_000_000
