"""Which pools hold in a cell: applied once, heard of by every process, kept when others take their place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest
import structlog

from northstar.broker.applied_files import KEPT
from northstar.broker.pools_in_force import PoolsInForce, applied_pools
from northstar.config.pool_errors import InvalidPools
from northstar.config.pools import PACKAGED, packaged_pools, packaged_text, read_pools_text
from northstar.domain.refusals import DocumentChanged
from northstar.store.bells import listen
from northstar.store.documents import WantedDocument, put_documents
from tests.agent.rig import Rig
from tests.servers import eventually

UNIFORM = packaged_text().replace('mode = "pools"', 'mode = "uniform"', 1)


async def applied(rig: Rig, text: str = UNIFORM) -> int:
    files = applied_pools(rig.cell)
    return await files.apply(text, source="pools.toml", known=await files.current(), by="ann")


@contextlib.asynccontextmanager
async def at_work(in_force: PoolsInForce, rig: Rig) -> AsyncIterator[None]:
    """A process that listens to bells, as every one does that routes."""

    async def pass_on() -> None:
        async for ring in listen(rig.cell.client, rig.cell.keys, ("tick",)):
            in_force.hear(ring)

    tasks = {asyncio.create_task(pass_on()), asyncio.create_task(in_force.run())}
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_where_none_are_applied_those_hold_that_the_process_was_given(rig: Rig) -> None:
    in_force = PoolsInForce(rig.cell)
    assert not await in_force.look()
    assert (in_force.latest, in_force.version, in_force.source) == (packaged_pools(), 0, PACKAGED)
    others = read_pools_text(UNIFORM, source="pools.toml")
    assert PoolsInForce(rig.cell, otherwise=others).source == "the settings"


async def test_applied_pools_hold_in_every_process_at_once(rig: Rig) -> None:
    """The issue: "Operators edit, check, diff and reload them live"."""
    in_force = PoolsInForce(rig.cell, look_every_s=3_600)
    async with at_work(in_force, rig):
        for text, mode in ((UNIFORM, "uniform"), (packaged_text(), "pools")):
            version = await applied(rig, text)

            async def holds(version: int = version) -> bool:
                return in_force.version == version

            await eventually(holds, what="the applied pools hold")
            assert in_force.latest.routing.mode == mode
            assert in_force.source == "pools.toml, applied by ann"


async def test_pools_that_cannot_be_used_are_refused_and_change_nothing(rig: Rig) -> None:
    version = await applied(rig)
    with pytest.raises(InvalidPools):
        await applied(rig, "[pools.heavy]\n")
    found = await applied_pools(rig.cell).current()
    assert found is not None
    assert (found.version, found.text) == (version, UNIFORM)


async def test_pools_of_a_newer_version_change_nothing_for_an_older_one(rig: Rig) -> None:
    in_force = PoolsInForce(rig.cell)
    await applied(rig)
    await in_force.look()
    body = msgspec.json.encode({"text": UNIFORM + "\n[newer]\n", "source": "pools.toml"}).decode()
    await put_documents(rig.cell, [WantedDocument(kind="pools", name="current", body=body)], by="newer")
    with structlog.testing.capture_logs() as logs:
        assert not await in_force.look()
        assert not await in_force.look()
    assert [(line["event"], line["now"]) for line in logs] == [("pools_not_used", "those before hold")]
    assert in_force.latest.routing.mode == "uniform"


async def test_whoever_has_not_seen_what_is_in_force_does_not_replace_it(rig: Rig) -> None:
    await applied(rig)
    with pytest.raises(DocumentChanged, match=r"pools current has changed since it was read"):
        await applied_pools(rig.cell).apply(packaged_text(), source="other.toml", known=None, by="bob")


async def test_former_pools_are_kept_and_can_be_had_again(rig: Rig) -> None:
    first = await applied(rig)
    second = await applied(rig, packaged_text())
    assert [(one.version, one.text, one.by) for one in await applied_pools(rig.cell).past()] == [
        (first, UNIFORM, "ann")
    ]
    found = await applied_pools(rig.cell).of_version(second)
    assert found is not None
    assert found.text == packaged_text()
    known = await applied_pools(rig.cell).current()
    assert known is not None
    await applied_pools(rig.cell).take_back(known, by="bob")
    assert await applied_pools(rig.cell).current() is None
    assert [one.version for one in await applied_pools(rig.cell).past()] == [second, first]
    assert await applied_pools(rig.cell).of_version(99) is None


async def test_of_former_pools_the_latest_are_kept(rig: Rig) -> None:
    versions = [await applied(rig, f"{UNIFORM}\n# {number}\n") for number in range(KEPT + 3)]
    assert [one.version for one in await applied_pools(rig.cell).past()] == sorted(versions[2:-1], reverse=True)


async def test_pools_that_were_taken_back_hold_no_more(rig: Rig) -> None:
    in_force = PoolsInForce(rig.cell)
    await applied(rig)
    await in_force.look()
    known = await applied_pools(rig.cell).current()
    assert known is not None
    await applied_pools(rig.cell).take_back(known, by="bob")
    assert await in_force.look()
    assert (in_force.latest, in_force.version) == (packaged_pools(), 0)


async def test_a_document_that_this_version_cannot_read_changes_nothing_either(rig: Rig) -> None:
    in_force = PoolsInForce(rig.cell)
    await applied(rig)
    await in_force.look()
    await put_documents(rig.cell, [WantedDocument(kind="pools", name="current", body="[]")], by="newer")
    with structlog.testing.capture_logs() as logs:
        assert not await in_force.look()
        assert not await in_force.look()
    assert [line["code"] for line in logs] == ["NS_DOCUMENT_UNREADABLE"]
    assert in_force.latest.routing.mode == "uniform"
