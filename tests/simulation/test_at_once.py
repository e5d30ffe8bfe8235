"""Nobody waits for work beside the loop of a simulation: it is done before anything else happens."""

from __future__ import annotations

import asyncio

import pytest

from northstar.simulation.at_once import AtOnce


async def test_work_beside_the_loop_is_done_before_any_other_task_has_its_turn() -> None:
    asyncio.get_running_loop().set_default_executor(AtOnce())
    done: list[str] = []

    async def another() -> None:
        done.append("another task")

    task = asyncio.create_task(another())
    await asyncio.to_thread(done.append, "work")
    assert done == ["work"]
    await task


async def test_what_goes_wrong_there_is_told_to_whoever_asked() -> None:
    asyncio.get_running_loop().set_default_executor(AtOnce())
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 / 0)
