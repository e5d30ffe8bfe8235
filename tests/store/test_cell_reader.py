"""Who reads a cell again and again is given what a first reader is given, and what did not change is not read again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld, ModelNeed
from northstar.domain.requirements import Requirements
from northstar.store.cell import MOST_ASKED_BY_NAME
from northstar.store.keys import CellKeys
from northstar.store.known_machines import KnownMachines
from northstar.store.messages import Candidate, Done
from northstar.store.snapshots import CellReader, read_candidates, read_snapshot
from tests.agent.rig import PROFILE, Rig, nonce
from tests.servers import RunningServer

SDXL = ModelNeed(name="sdxl", size_bytes=5_000)

KEYS = CellKeys("test")


@pytest_asyncio.fixture
async def rig(valkey_server: RunningServer) -> AsyncIterator[Rig]:
    async with Rig(valkey_server.url) as opened:
        await opened.cell.declare(["model:sdxl", "tag:big"], by="test")
        yield opened


@pytest_asyncio.fixture
async def same(rig: Rig) -> Callable[[], Awaitable[None]]:
    """Looks with a reader that has looked before, and compares with a first look."""
    reader = CellReader(rig.cell.client, rig.cell.keys)

    async def look() -> None:
        assert await reader.snapshot() == await read_snapshot(rig.cell.client, rig.cell.keys)
        assert await reader.candidates() == await read_candidates(rig.cell.client, rig.cell.keys)
        both = (
            await read_candidates(rig.cell.client, rig.cell.keys),
            await read_snapshot(rig.cell.client, rig.cell.keys),
        )
        assert await reader.candidates_and_snapshot() == both

    return look


async def test_whatever_happens_in_a_cell_a_second_look_sees_what_a_first_one_sees(
    rig: Rig, same: Callable[[], Awaitable[None]]
) -> None:
    await same()
    link = await rig.link("m")
    await link.register(PROFILE, MachineDescription(download_bytes_per_s=1e9), slots=2, models=())
    await same()
    other = await rig.joined("other")
    await rig.submit("a", "b", requires=Requirements(models=(SDXL,)))
    await rig.submit("c", priority=90)
    await same()
    (lane, _) = (await read_snapshot(rig.cell.client, rig.cell.keys)).lanes
    await rig.cell.set_candidates([("m", [Candidate(lane, 0, 7)])], nonce=nonce())
    await same()
    jobs = (await link.claim(credits_=2)).jobs
    assert jobs
    await same()
    await link.complete_and_claim([Done(job.id, job.token, "{}") for job in jobs], credits_=2)
    await same()
    await link.register(PROFILE, MachineDescription(), slots=1, models=[ModelHeld("sdxl", "resident", SDXL.size_bytes)])
    await same()
    await other.leave(because="test")
    await same()
    await rig.submit("d", requires=Requirements(tags=("big",)), expected_s=3.0)
    await same()
    await rig.cell.client.execute_command("DEL", rig.cell.keys["machines"], rig.cell.keys["parked"])
    await same()


@pytest.mark.parametrize(
    "part", ["machines", "descriptions", "residency", "lanes", "profiles", "classes", "candidates"]
)
async def test_a_record_that_becomes_unreadable_and_readable_again_is_what_it_is_each_time(
    rig: Rig, same: Callable[[], Awaitable[None]], part: str
) -> None:
    await rig.joined("m")
    await rig.submit("a")
    client, key = rig.cell.client, rig.cell.keys[part]
    known = await client.execute_command("HGETALL", key)
    await same()
    for field in known:
        await client.execute_command("HSET", key, field, b"\xc1", b"\xff" + field, b"\xc1")
    await same()
    for field, value in known.items():
        await client.execute_command("HSET", key, field, value)
    await same()


async def test_machines_that_did_not_change_are_the_same_objects(rig: Rig) -> None:
    reader = CellReader(rig.cell.client, rig.cell.keys)
    await rig.joined("m")
    link = await rig.joined("other")
    before = await reader.snapshot()
    assert (await reader.snapshot()).machines is before.machines
    await link.claim(credits_=1)
    after = await reader.snapshot()
    assert after.machines["m"] is before.machines["m"]
    assert (before.machines["other"].parked, after.machines["other"].parked) == (False, True)


async def test_looks_at_the_same_time_and_looks_given_up_leave_a_reader_right(
    rig: Rig, same: Callable[[], Awaitable[None]]
) -> None:
    reader = CellReader(rig.cell.client, rig.cell.keys)
    await rig.joined("m")
    (record,) = (await rig.cell.client.execute_command("HGETALL", rig.cell.keys["machines"])).values()
    for number in range(0, 900, 300):
        many = [item for at in range(number, number + 300) for item in (f"n{at}", record)]
        await rig.cell.client.execute_command("HSET", rig.cell.keys["machines"], *many)
        looks = [asyncio.create_task(reader.snapshot()) for _ in range(4)]
        await asyncio.sleep(0)
        looks[0].cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        assert await reader.snapshot() == await read_snapshot(rig.cell.client, rig.cell.keys)
    await same()


async def test_a_short_look_does_not_hold_up_everything_while_a_long_one_is_read(
    rig: Rig, same: Callable[[], Awaitable[None]]
) -> None:
    """Several look by one reader; what one reads in a thread must not stop the loop in which the others run."""
    reader = CellReader(rig.cell.client, rig.cell.keys)
    await rig.joined("m")
    with reader._turn:
        candidates, snapshot = asyncio.create_task(reader.candidates()), asyncio.create_task(reader.snapshot())
        done, _ = await asyncio.wait({candidates, snapshot}, timeout=0.2)
        assert not done
    assert (await candidates, list((await snapshot).machines)) == ({}, ["m"])
    await same()


def packed_machine(profile: str, used: int, work: list[tuple[str, int]]) -> bytes:
    return msgspec.msgpack.encode(["1", profile, "s", 2, used, 9, 1, "active", "", [], 0, "", 1, [], work])


names = st.sampled_from([b"a", b"b", b"c", b"\xff", "é".encode()])
texts = {
    "machines": st.builds(
        packed_machine,
        st.sampled_from(["p", "q"]),
        st.integers(0, 2),
        st.lists(st.tuples(st.sampled_from(["l1", "l2"]), st.integers(1, 2)), max_size=2),
    ),
    "descriptions": st.sampled_from([b"{}", b'{"download_bytes_per_s":5.0}', b"nonsense"]),
    "residency": st.sampled_from(
        [msgspec.msgpack.encode(models) for models in ([], [["sdxl", "disk", 5]], [["sdxl", "eaten", 5]], 7)]
    ),
}
fetches = st.dictionaries(
    st.sampled_from([b"a\0sdxl", b"a\0vae", b"b\0sdxl", b"count"]), st.sampled_from([msgspec.msgpack.encode([1, 9, 5])])
)
looks = st.tuples(
    st.fixed_dictionaries({part: st.dictionaries(names, text | st.just(b"\xc1")) for part, text in texts.items()}),
    fetches,
    st.frozensets(names),
    st.dictionaries(st.sampled_from(["l1", "l2"]), st.sampled_from([1.0, 7.5])),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(looks, min_size=1, max_size=6))
def test_machines_seen_before_are_put_together_as_if_they_were_new(
    steps: list[tuple[dict[str, dict[bytes, bytes]], dict[bytes, bytes], frozenset[bytes], dict[str, float]]],
) -> None:
    known = KnownMachines(KEYS)
    for parts, fetching, parked, run_s in steps:
        first = KnownMachines(KEYS)
        for one in (known, first):
            one.see(parts | {"fetches": fetching}, parked)
        assert known.running == first.running
        assert known.states(run_s) == first.states(run_s)


@pytest.mark.parametrize("count", [1, MOST_ASKED_BY_NAME, 10 * MOST_ASKED_BY_NAME])
async def test_who_does_not_wait_is_told_the_same_however_many_are_asked_for(rig: Rig, count: int) -> None:
    link = await rig.joined("waits")
    await rig.joined("is here")
    await link.claim(credits_=1)
    strangers = [f"stranger {number}" for number in range(count)]
    assert await rig.cell.unparked(["waits", "is here", *strangers]) == ["is here", *strangers]


async def test_a_link_that_was_not_measured_is_taken_for_what_is_usual_in_the_fleet(
    rig: Rig, same: Callable[[], Awaitable[None]]
) -> None:
    """A machine that has fetched nothing yet would else come last where others have fast links, and never fetch."""
    new = await rig.link("new")
    await new.register(PROFILE, MachineDescription(), slots=1, models=())
    await same()

    async def rate() -> float:
        return (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["new"].download_bytes_per_s

    assert await rate() == 0.0
    for name, measured in (("a", 120e6), ("b", 131e6), ("c", 1e9)):
        link = await rig.link(name)
        await link.register(PROFILE, MachineDescription(download_bytes_per_s=measured), slots=1, models=())
        await same()
    assert await rate() == 125e6
    await new.register(PROFILE, MachineDescription(download_bytes_per_s=20e6), slots=1, models=())
    await same()
    assert await rate() == 20e6


async def test_a_machine_has_room_for_what_its_disk_holds_beside_its_models(rig: Rig) -> None:
    link = await rig.link("m")
    for disk, room in ((40_000, 33_000), (5_000, 0), (0, 0)):
        held = [ModelHeld("sdxl", "resident", 5_000), ModelHeld("vae", "disk", 2_000), ModelHeld("unsaid", "disk")]
        await link.register(PROFILE, MachineDescription(disk_bytes=disk), slots=1, models=held)
        assert (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["m"].free_disk_bytes == room
