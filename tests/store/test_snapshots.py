"""A cell as policy sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
import structlog

from northstar.domain.errors import Unavailable
from northstar.domain.limits import CellLimits
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld, ModelNeed
from northstar.domain.requirements import Requirements
from northstar.store.messages import Candidate, OpenReply
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


async def test_a_machine_is_seen_with_what_it_works_on_and_what_is_on_its_way(rig: Rig) -> None:
    link = await rig.link("m")
    profile = msgspec.structs.replace(PROFILE, vram_mb=24_000)
    await link.register(profile, MachineDescription(gpu="NVIDIA L4"), slots=3, models=())
    await rig.model_link(link).fetch_started("sdxl", size_bytes=5_000, expected_ms=60_000)
    await rig.submit("a", "b", expected_s=40.0, requires=Requirements(vram_mb=8_000))
    await rig.plan()
    assert len((await link.claim(credits_=2)).jobs) == 2
    snapshot = await read_snapshot(rig.cell.client, rig.cell.keys)
    machine = snapshot.machines["m"]
    assert (machine.used, machine.work_ahead_s, machine.vram_free_mb, machine.gpu_class) == (2, 80.0, 8_000, "l4")
    assert 0 < machine.fetching["sdxl"] - snapshot.now_ms <= 60_000
    (lane,) = snapshot.lanes.values()
    assert (lane.unfinished, lane.running, lane.waiting, lane.run_s) == (2, 2, 0, 40.0)


async def test_of_what_submitters_expect_the_latest_counts_for_an_eighth(rig: Rig) -> None:
    await rig.joined("m")
    await rig.submit("a", expected_s=10.0)
    await rig.submit("b", expected_s=18.0)
    (lane,) = (await read_snapshot(rig.cell.client, rig.cell.keys)).lanes.values()
    assert lane.run_s == 11.0


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x91\x01", msgspec.msgpack.encode(["x", 1, 2])])
async def test_a_fetch_that_nobody_can_read_is_left_out(rig: Rig, value: bytes) -> None:
    await rig.joined("m")
    await store(rig, "fetches", "m\0sdxl", value)
    assert (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["m"].fetching == {}


@pytest.mark.parametrize("rate", ['"fast"', "-1.0", "1e300", "null"])
async def test_nonsense_that_a_machine_says_of_itself_spoils_nobodys_view(rig: Rig, rate: str) -> None:
    await rig.joined("m")
    said = f'{{"download_bytes_per_s": {rate}}}'
    await rig.cell.client.execute_command("HSET", rig.cell.keys["descriptions"], "m", said)
    assert (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["m"].download_bytes_per_s == 0.0


async def stored(rig: Rig, part: str) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = await rig.cell.client.execute_command("HGETALL", rig.cell.keys[part])
    return found


async def store(rig: Rig, part: str, field: str, value: bytes) -> None:
    await rig.cell.client.execute_command("HSET", rig.cell.keys[part], field, value)


async def test_a_profile_of_a_newer_version_is_read_without_what_is_new(rig: Rig) -> None:
    await rig.joined("m")
    text = PROFILE.canonical()[:-1] + ',"interconnect":"nvlink"}'
    await store(rig, "profiles", "000001", msgspec.msgpack.encode([text, 1, "", "more"]))
    assert (await read_snapshot(rig.cell.client, rig.cell.keys)).profiles["000001"] == PROFILE


async def test_a_model_in_a_state_that_only_a_newer_version_knows_counts_as_absent(rig: Rig) -> None:
    await rig.joined("m")
    held = [["sdxl", "compressed", 5_000], ["vae", "disk", 1, "more"]]
    await store(rig, "residency", "m", msgspec.msgpack.encode(held))
    assert (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["m"].held == {"vae": "disk"}


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x91\x01", msgspec.msgpack.encode(["{", "{", "p", 0, 0])])
@pytest.mark.parametrize(
    "part", ["lanes", "classes", "profiles", "machines", "descriptions", "residency", "candidates"]
)
async def test_a_record_that_nobody_can_read_costs_only_itself(rig: Rig, part: str, value: bytes) -> None:
    await rig.joined("m")
    await rig.submit("a")
    (lane,) = (await read_snapshot(rig.cell.client, rig.cell.keys)).lanes
    await rig.cell.set_candidates([("m", [Candidate(lane, 1)])], nonce=nonce())
    before = await read_snapshot(rig.cell.client, rig.cell.keys)
    await store(rig, part, "zzzzzz", value)
    await store(rig, part, "kzzzzz", value)
    snapshot = await read_snapshot(rig.cell.client, rig.cell.keys)
    readable = ("fits", "lanes") if part != "lanes" else ("fits",)
    assert [getattr(snapshot, name) for name in readable] == [getattr(before, name) for name in readable]
    assert snapshot.lanes[lane] == before.lanes[lane]
    assert snapshot.machines["m"] == before.machines["m"]
    assert set(await read_candidates(rig.cell.client, rig.cell.keys)) >= {"m"}
    assert await rig.submit("b") == ["b"]


async def test_a_record_that_cannot_be_read_is_named_once(rig: Rig) -> None:
    await store(rig, "machines", "m", b"\xc1")
    with structlog.testing.capture_logs() as said:
        for _ in range(3):
            assert (await read_snapshot(rig.cell.client, rig.cell.keys)).machines == {}
    (line,) = said
    assert (line["event"], line["field"]) == ("record_left_out", "m")


async def test_many_records_are_read_alike(rig: Rig) -> None:
    await rig.joined("m")
    (record,) = (await stored(rig, "machines")).values()
    many = [item for number in range(300) for item in (f"n{number}", record)]
    await rig.cell.client.execute_command("HSET", rig.cell.keys["machines"], *many)
    assert len((await read_snapshot(rig.cell.client, rig.cell.keys)).machines) == 301


async def test_the_order_of_a_lane_is_that_of_its_first_job(rig: Rig) -> None:
    await rig.joined("m")
    await rig.submit("low", priority=10)
    (before,) = (await read_snapshot(rig.cell.client, rig.cell.keys)).lanes.values()
    await rig.submit("high", priority=100)
    (after,) = (await read_snapshot(rig.cell.client, rig.cell.keys)).lanes.values()
    assert "" < after.head < before.head
    assert len(after.head) == 27


async def test_sizes_of_models_are_those_that_the_lane_keeps(rig: Rig) -> None:
    await rig.submit("a", requires=Requirements(models=(SDXL,)))
    (lane,) = (await read_snapshot(rig.cell.client, rig.cell.keys)).lanes
    record = msgspec.msgpack.decode((await stored(rig, "lanes"))[lane.encode()])[:5]
    await store(rig, "lanes", lane, msgspec.msgpack.encode([*record, '[["sdxl",7]]', 2.5, "more"]))
    assert (await read_snapshot(rig.cell.client, rig.cell.keys)).lanes[lane].anchors == (("sdxl", 7),)


async def test_every_decided_pair_but_0_fits(rig: Rig) -> None:
    for pair, value in (("p00001c00001", b"0"), ("p00001c00002", b"1"), ("p00001c00003", b"019a0b1c2d3")):
        await store(rig, "fits", pair, value)
    assert (await read_snapshot(rig.cell.client, rig.cell.keys)).fits == {
        ("p00001", "c00001"): False,
        ("p00001", "c00002"): True,
        ("p00001", "c00003"): True,
    }


async def test_limits_of_a_newer_version_are_passed_over(rig: Rig) -> None:
    limits = msgspec.to_builtins(rig.limits) | {"max_wishes": 3}
    reply = msgspec.msgpack.encode(
        {"created": False, "epoch": 1, "schema": 1, "limits": limits, "event": 0, "committed_event": 0}
    )
    assert msgspec.msgpack.decode(reply, type=OpenReply).limits.lease_ms == rig.limits.lease_ms
    with pytest.raises(msgspec.ValidationError, match="max_wishes"):
        msgspec.convert(limits, CellLimits)


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
