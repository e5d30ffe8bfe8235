"""Engines are asked what they hold regularly and after jobs, and never more often than that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from northstar.agent.memory_watch import MemoryWatch
from northstar.domain.models import ModelHeld
from tests.agent.rig import soon

HELD = (ModelHeld("llm", "resident", 5),)


class Engines:
    """What is asked and told."""

    def __init__(self, held: Sequence[ModelHeld] | None = HELD) -> None:
        self.held = held
        self.asked = 0
        self.told: list[Sequence[ModelHeld]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def ask(self) -> Sequence[ModelHeld] | None:
        self.asked += 1
        await self.may_answer.wait()
        return self.held


@contextlib.asynccontextmanager
async def watched(engines: Engines, *, every_s: float) -> AsyncIterator[MemoryWatch]:
    watch = MemoryWatch(engines.ask, engines.told.append, every_s=every_s, settle_s=0.0)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_engines_are_asked_again_and_again() -> None:
    engines = Engines()
    async with watched(engines, every_s=0.01):
        await soon(lambda: len(engines.told) >= 3, "they were asked three times")
    assert set(map(tuple, engines.told)) == {HELD}


async def test_engines_are_asked_after_a_job() -> None:
    engines = Engines()
    async with watched(engines, every_s=3_600) as watch:
        watch.job_ended()
        await soon(lambda: engines.told == [HELD], "they were asked")


async def test_jobs_that_end_together_are_asked_about_once() -> None:
    engines = Engines()
    async with watched(engines, every_s=3_600) as watch:
        engines.may_answer.clear()
        for _ in range(50):
            watch.job_ended()
        await soon(lambda: engines.asked == 1, "they were asked")
        for _ in range(50):
            watch.job_ended()  # while the answer is on its way: it may be older than these
        engines.may_answer.set()
        await soon(lambda: len(engines.told) == 2, "they were asked once more")
    assert engines.asked == 2


async def test_where_no_engine_tells_nothing_is_told() -> None:
    engines = Engines(held=None)
    async with watched(engines, every_s=0.01):
        await soon(lambda: engines.asked >= 3, "they were asked")
    assert engines.told == []
