"""What follows from an applied file is done until it is done: that it was seen does not mean that its places were declared."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import structlog

from northstar.broker.in_force import InForce
from northstar.broker.pools_in_force import applied_pools
from northstar.config.pools import packaged_pools, packaged_text
from northstar.domain.errors import Unavailable
from northstar.domain.pools import Pools
from tests.agent.rig import Rig
from tests.servers import eventually

UNIFORM = packaged_text().replace('mode = "pools"', 'mode = "uniform"', 1)


class Busy(Unavailable):
    """The server has no time."""

    code = "NS_TEST_BUSY"

    def __init__(self) -> None:
        super().__init__("the server is busy")


class Follower:
    """Told of changes; has no success so many times."""

    def __init__(self, *, fails: int) -> None:
        self.fails = fails
        self.told: list[str] = []

    async def changed(self, pools: Pools) -> None:
        self.told.append(pools.routing.mode)
        if len(self.told) <= self.fails:
            raise Busy


@contextlib.asynccontextmanager
async def at_work(rig: Rig, follower: Follower) -> AsyncIterator[InForce[Pools]]:
    """Looks again every hundredth of a second, and hears no bells."""
    in_force = InForce(
        applied_pools(rig.cell),
        otherwise=packaged_pools(),
        if_unusable="those before hold",
        look_every_s=0.01,
        changed=follower.changed,
    )
    await in_force.look()
    task = asyncio.create_task(in_force.run())
    try:
        yield in_force
    finally:
        task.cancel()
        await asyncio.wait([task])


async def applied(rig: Rig, text: str) -> None:
    files = applied_pools(rig.cell)
    await files.apply(text, source="pools.toml", known=await files.current(), by="ann")


async def test_who_could_not_follow_a_change_is_told_again_and_the_log_says_that_and_nothing_else(rig: Rig) -> None:
    follower = Follower(fails=2)
    with structlog.testing.capture_logs() as logs:
        async with at_work(rig, follower):
            await applied(rig, UNIFORM)

            async def has_followed() -> bool:
                return len(follower.told) > follower.fails

            await eventually(has_followed, what="the change was followed")
    assert follower.told == ["uniform"] * 3
    failed = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["event"], line["code"]) for line in failed] == [("pools_not_followed", "NS_TEST_BUSY")] * 2


@pytest.mark.parametrize("fails", [0, 1])
async def test_each_change_is_followed_once_and_what_held_at_the_start_is_none(rig: Rig, fails: int) -> None:
    await applied(rig, UNIFORM)
    follower = Follower(fails=fails)
    async with at_work(rig, follower) as in_force:
        await applied(rig, packaged_text())

        async def has_followed() -> bool:
            return len(follower.told) > fails

        await eventually(has_followed, what="the change was followed")
        version = in_force.version
        await applied(rig, UNIFORM)

        async def has_followed_the_next() -> bool:
            return follower.told[-1] == "uniform"

        await eventually(has_followed_the_next, what="the next change was followed")
        assert in_force.version > version
    assert follower.told == [*["pools"] * (fails + 1), "uniform"]
