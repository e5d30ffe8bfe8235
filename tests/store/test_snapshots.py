"""A cell as policy sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from northstar.domain.errors import Unavailable
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld, ModelNeed
from northstar.domain.requirements import Requirements
from northstar.store.messages import Candidate
from northstar.store.snapshots import read_candidates, read_snapshot
from northstar.store.valkey import connect
from tests.agent.rig import PROFILE, Rig, nonce
from tests.servers import RunningServer

SDXL = ModelNeed(name="sdxl", size_bytes=5_000)


@pytest_asyncio.fixture
async def rig(valkey_server: RunningServer) -> AsyncIterator[Rig]:
    async with Rig(valkey_server.url) as opened:
        await opened.cell.declare(["model:sdxl"], by="test")
        yield opened


async def test_an_empty_cell_has_nothing(rig: Rig) -> None:
    snapshot = await read_snapshot(rig.cell.client, rig.cell.keys)
    assert (snapshot.machines, snapshot.lanes, snapshot.profiles) == ({}, {}, {})


async def test_a_machine_is_seen_with_what_it_has_said_and_does(rig: Rig) -> None:
    link = await rig.link("m")
    held = [ModelHeld("sdxl", "disk", 5_000), ModelHeld("vae", "resident", 1)]
    await link.register(PROFILE, MachineDescription(download_bytes_per_s=1e9), slots=3, models=held)
    assert (await link.claim(credits_=1)).jobs == []
    snapshot = await read_snapshot(rig.cell.client, rig.cell.keys)
    machine = snapshot.machines["m"]
    assert (machine.slots, machine.used, machine.active, machine.parked) == (3, 0, True, True)
    assert machine.held == {"sdxl": "disk", "vae": "resident"}
    assert machine.download_bytes_per_s == 1e9
    assert snapshot.profiles[machine.profile] == PROFILE


async def test_a_lane_is_seen_with_its_anchors_and_whether_somebody_waits(rig: Rig) -> None:
    link = await rig.joined("m")
    await rig.submit("a", "b", requires=Requirements(models=(SDXL,)))
    (lane,) = (await read_snapshot(rig.cell.client, rig.cell.keys)).lanes.values()
    assert (lane.anchors, lane.unfinished, lane.waits) == ((("sdxl", 5_000),), 2, True)
    assert len((await link.claim(credits_=2)).jobs) == 2
    snapshot = await read_snapshot(rig.cell.client, rig.cell.keys)
    assert (snapshot.lanes[lane.id].unfinished, snapshot.lanes[lane.id].waits) == (2, False)
    assert snapshot.fits == {(snapshot.machines["m"].profile, lane.requirement_class): True}
    assert snapshot.classes[lane.requirement_class].service == "waits"


async def test_nonsense_that_a_machine_says_of_itself_spoils_nobodys_view(rig: Rig) -> None:
    await rig.joined("m")
    await rig.cell.client.execute_command(
        "HSET", rig.cell.keys["descriptions"], "m", '{"download_bytes_per_s": "fast"}'
    )
    assert (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["m"].download_bytes_per_s == 0.0


async def test_candidates_are_read_as_they_were_written(rig: Rig) -> None:
    await rig.joined("m")
    await rig.submit("a")
    (lane,) = (await read_snapshot(rig.cell.client, rig.cell.keys)).lanes
    await rig.cell.set_candidates([("m", [Candidate(lane, 1_500, 7)])], nonce=nonce())
    known = await read_candidates(rig.cell.client, rig.cell.keys)
    assert known == {"m": frozenset({Candidate(lane, 1_500, 7)})}


async def test_a_cell_in_a_cluster_is_read_the_same(cluster_server: RunningServer) -> None:
    async with Rig(cluster_server.url) as rig:
        await rig.joined("m")
        await rig.submit("a")
        assert set((await read_snapshot(rig.cell.client, rig.cell.keys)).machines) == {"m"}


async def test_a_server_that_does_not_answer_is_unavailable(rig: Rig) -> None:
    client = connect("unix:///nowhere/s")
    for read in (read_snapshot, read_candidates):
        with pytest.raises(Unavailable, match="Valkey does not answer"):
            await read(client, rig.cell.keys)
    await client.aclose()
