"""What is read for explanations: fetches, waits of lanes, tokens of machines and limits; what cannot be read is left out."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from northstar.broker.admission import Admission
from northstar.domain.admission import InviteTerms
from northstar.domain.explanations import ModelFetch
from northstar.domain.limits import CellLimits
from northstar.domain.models import ModelNeed
from northstar.domain.refusals import CellMissing
from northstar.domain.requirements import Requirements
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, machine_token
from northstar.store.admission import list_tokens
from northstar.store.cell import Cell
from northstar.store.cell_limits import read_limits
from northstar.store.keys import CellKeys
from northstar.store.lane_waits import count_placed, read_first_job, read_lane_waits
from northstar.store.machine_tokens import read_machine_token
from northstar.store.messages import StoredOrder
from northstar.store.model_fetches import read_model_fetches
from tests.agent.rig import LIMITS, Rig
from tests.servers import RunningServer


@pytest_asyncio.fixture
async def rig(valkey_server: RunningServer) -> AsyncIterator[Rig]:
    async with Rig(valkey_server.url) as opened:
        yield opened


async def fetches(cell: Cell, *models: str) -> list[ModelFetch]:
    return await read_model_fetches(cell.client, cell.keys, models)


async def test_fetches_under_way_come_before_orders_that_nobody_has_begun(rig: Rig) -> None:
    """An order whose fetch has begun is told once, as a fetch."""
    links = {name: await rig.joined(name) for name in ("a", "b", "c")}
    for name in ("b", "a"):
        await rig.model_link(links[name]).fetch_started("flux", size_bytes=24, expected_ms=9_000)
    await rig.model_link(links["a"]).fetch_started("other", size_bytes=1, expected_ms=1)
    for machine in ("b", "c"):
        await rig.cell.order_models(machine, [StoredOrder(f"o-{machine}", "fetch", "flux", "{}")], by="test")
    await rig.cell.order_models("a", [StoredOrder("gone", "evict", "flux"), StoredOrder("x", "fetch", "vae")], by="t")
    found = await fetches(rig.cell, "flux")
    assert [(one.machine, one.size_bytes, one.order) for one in found] == [
        ("a", 24, ""),
        ("b", 24, ""),
        ("c", 0, "o-c"),
    ]
    assert [one.expected_ms - one.since_ms for one in found[:2]] == [9_000, 9_000]


async def test_where_nothing_is_asked_or_fetched_nothing_is_found(rig: Rig) -> None:
    assert await fetches(rig.cell) == []
    assert await fetches(rig.cell, "flux") == []


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x91\x01", b"{", b"\xc0"])
async def test_a_fetch_or_order_that_cannot_be_read_is_left_out(rig: Rig, value: bytes) -> None:
    """A newer version may have written it."""
    link = await rig.joined("a")
    await rig.model_link(link).fetch_started("flux", size_bytes=24, expected_ms=9_000)
    command, keys = rig.cell.client.execute_command, rig.cell.keys
    await command("HSET", keys["orders"], "a", value)
    await command("HSET", keys["fetches"], b"a\0flux", value)
    assert await fetches(rig.cell, "flux") == []
    await command("HSET", keys["fetches"], b"\0flux", value)
    assert await fetches(rig.cell, "flux") == []


async def test_waits_of_lanes_are_counted_with_the_age_of_the_oldest(rig: Rig) -> None:
    """And lanes in which nobody waits are left out."""
    await rig.cell.declare(["model:flux"], by="test")
    await rig.submit("a", "b", "urgent")
    await rig.cell.reprioritise(["urgent"], priority=90)
    await rig.submit("other", requires=Requirements(models=(ModelNeed(name="flux"),)))
    lane = (await rig.record("a")).lane
    waits = await read_lane_waits(rig.cell.client, rig.cell.keys, [lane, "zzzzzz"])
    assert set(waits) == {lane}
    assert (waits[lane].waiting, waits[lane].oldest_ms) == (3, (await rig.record("a")).submitted_ms)
    assert await read_first_job(rig.cell.client, rig.cell.keys, lane) == "urgent"
    assert await read_first_job(rig.cell.client, rig.cell.keys, "zzzzzz") is None
    assert await read_lane_waits(rig.cell.client, rig.cell.keys, []) == {}


async def test_machines_that_may_take_a_lane_are_counted(rig: Rig) -> None:
    await rig.submit("a")
    lane = (await rig.record("a")).lane
    assert await count_placed(rig.cell.client, rig.cell.keys, lane) == 0
    await rig.joined("m")
    await rig.joined("n")
    await rig.plan()
    assert await count_placed(rig.cell.client, rig.cell.keys, lane) == 2


async def test_the_token_of_a_machine_is_found_without_looking_through_all(rig: Rig) -> None:
    """Its latest, without its secret; one that cannot be read is none."""
    admission = Admission(rig.cell, random_bytes=secrets.token_bytes, monotonic=time.monotonic)
    terms = InviteTerms(pools=("fast", "standard"), region="eu", tags=("a",), approval=True)
    invitation = await admission.invite(terms, by="ann")
    token = machine_token(
        invitation.invite, id_bytes=secrets.token_bytes(ID_BYTES), secret_bytes=secrets.token_bytes(SECRET_BYTES)
    )
    await admission.redeem(invitation.invite.reveal(), token.reveal(), machine="m")
    found = await read_machine_token(rig.cell.client, rig.cell.keys, "m")
    assert found is not None
    assert (found.machine, found.status, found.pools, found.by) == ("m", "waiting", ("fast", "standard"), "ann")
    (listed,) = [entry async for entry in list_tokens(rig.cell)]
    assert (listed.machine, listed.status, listed.seen_ms) == (found.machine, found.status, found.seen_ms)
    assert await read_machine_token(rig.cell.client, rig.cell.keys, "nobody") is None
    await rig.cell.client.execute_command("HSET", rig.cell.keys["tokens"], token.id, b"\x91\x01")
    assert await read_machine_token(rig.cell.client, rig.cell.keys, "m") is None


async def test_the_limits_of_a_cell_are_read_without_opening_it(rig: Rig) -> None:
    found = await read_limits(rig.cell.client, rig.cell.keys)
    assert {name: getattr(found, name) for name in CellLimits.__struct_fields__} == msgspec.structs.asdict(LIMITS)
    with pytest.raises(CellMissing):
        await read_limits(rig.cell.client, CellKeys("nobody-made-it"))
