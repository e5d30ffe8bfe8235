"""A copy of a cell is of one moment, the same on every kind of server, and takes a place whole or not at all."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from valkey import Valkey

from northstar.domain.limits import CellLimits
from northstar.domain.refusals import CellMissing, NoSuchMachine, SchemaUnsupported
from northstar.store.cell import Cell
from northstar.store.copies.connection import CellConnection
from northstar.store.copies.errors import CellChanged, CellNotEmpty, CopyLost, CopyNeedsMemory, EpochOutOfReach
from northstar.store.copies.frames import Frame, split
from northstar.store.copies.snapshot import CellCopy, copied
from northstar.store.copies.staging import staged
from northstar.store.embedded import ServerOptions
from northstar.store.errors import ValkeyAuthFailed
from northstar.store.function_library import build
from northstar.store.keys import KEY_KINDS, CellKeys
from northstar.store.messages import Done
from northstar.store.valkey import ValkeyClient, connect
from tests import servers
from tests.servers import RunningServer
from tests.store.history.workplace import Workplace
from tests.store.library import rig
from tests.store.library.rig import load
from tests.store.library.scenarios import furnish

EVERY_SERVER = [
    "valkey",
    pytest.param("redis7", marks=pytest.mark.redis7),
    "cluster",
]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> RunningServer:
    """The server whose kind the test is given; the plain one without."""
    kind = getattr(request, "param", "valkey")
    running: RunningServer = request.getfixturevalue(f"{kind}_server")
    return running


@pytest_asyncio.fixture
async def client(server: RunningServer) -> AsyncIterator[ValkeyClient]:
    async with server.client() as opened:
        yield opened


@pytest_asyncio.fixture
async def workplace(client: ValkeyClient) -> Workplace:
    """A cell in which jobs are in many states."""
    made = Workplace(client, f"copy-{secrets.token_hex(4)}")
    await made.open()
    await made.run("done-1", "done-2")
    for first in range(0, 1_500, 500):
        await made.submit(*(f"waits-{at:04}" for at in range(first, first + 500)), payload={"prompt": "a" * 300})
    await made.claim(20)
    return made


def new_id() -> str:
    return secrets.token_hex(8)


async def state_of(client: ValkeyClient, keys: CellKeys) -> dict[str, Any]:
    """Everything in a cell, comparable."""
    reads = {"hash": ("HGETALL",), "zset": ("ZRANGE", 0, -1, "WITHSCORES"), "stream": ("XRANGE", "-", "+")}
    found: dict[str, Any] = {}
    for part, kind in KEY_KINDS.items():
        command, *more = reads[kind]
        found[part] = await client.execute_command(command, keys[part], *more)
    return {part: value for part, value in found.items() if value}


async def taken(client: ValkeyClient, keys: CellKeys) -> tuple[list[Frame], CellCopy]:
    async with copied(client, keys, copy_id=new_id()) as copy:
        return [frame async for frame in copy.frames()], copy


async def keys_beside(client: ValkeyClient, cell: str) -> set[bytes]:
    """Keys of copies of a cell that are there."""
    found: set[bytes] = set()
    for beside in ("copy", "restore"):
        pattern = f"ns:{{{cell}}}:{beside}-*"
        any_client: Any = client
        if hasattr(any_client, "get_primaries"):
            answers = await any_client.execute_command("KEYS", pattern, target_nodes="primaries")
            found |= {
                key for answer in ([answers] if isinstance(answers, list) else answers.values()) for key in answer
            }
        else:
            found |= set(await any_client.execute_command("KEYS", pattern))
    return found


@pytest.mark.parametrize("server", EVERY_SERVER, indirect=True)
async def test_a_copy_that_takes_the_place_of_the_cell_is_the_cell(client: ValkeyClient, workplace: Workplace) -> None:
    keys = workplace.cell.keys
    before = await state_of(client, keys)
    frames, copy = await taken(client, keys)
    assert copy.sizes["jobs"] == 1_502
    assert await state_of(client, keys) == before
    await workplace.complete(await workplace.claim(20))
    async with staged(client, keys, restore_id=new_id()) as place:
        await place.write(frames, sizes=copy.sizes)
        assert await state_of(client, keys) != before
        await place.clear()
        await place.take_its_place()
    assert await state_of(client, keys) == before
    assert await keys_beside(client, workplace.name) == set()
    for part in KEY_KINDS:
        assert await client.execute_command("PTTL", keys[part]) in {-1, -2}
    await workplace.complete(await workplace.claim(20))  # its stream goes on where it was


@pytest.mark.parametrize("server", EVERY_SERVER[:2], indirect=True)
async def test_every_part_of_a_furnished_cell_goes_along(server: RunningServer) -> None:
    with Valkey.from_url(server.nodes[0].url, socket_timeout=30) as blocking:
        load(blocking, build())
        cell = rig.Cell(blocking)
        furnish(cell)
        before = cell.state()
        async with server.client() as client:
            frames, copy = await taken(client, cell.keys)
            async with staged(client, cell.keys, restore_id=new_id()) as place:
                await place.write(frames, sizes=copy.sizes)
                await place.clear()
                await place.take_its_place()
        assert cell.state() == before
        assert len(before) > 35
        cell.forget()


@pytest.mark.redis7
async def test_a_cell_moves_between_servers_of_different_makes(
    workplace: Workplace, redis7_server: RunningServer
) -> None:
    frames, copy = await taken(workplace.cell.client, workplace.cell.keys)
    before = await state_of(workplace.cell.client, workplace.cell.keys)
    async with redis7_server.client() as other:
        async with staged(other, workplace.cell.keys, restore_id=new_id()) as place:
            await place.write(frames, sizes=copy.sizes)
            await place.take_its_place()
        assert await state_of(other, workplace.cell.keys) == before


async def test_a_stream_that_was_read_to_its_end_goes_on_where_it_was(client: ValkeyClient) -> None:
    made = Workplace(client, f"copy-{secrets.token_hex(4)}")
    await made.open()
    await made.run("one")
    latest = await made.latest_event()
    await made.cell.events_committed(epoch=1, event=latest)
    assert await made.waiting_events() == 0
    frames, copy = await taken(client, made.cell.keys)
    assert copy.latest is not None
    assert copy.latest.sequence == latest
    async with staged(client, made.cell.keys, restore_id=new_id()) as place:
        await place.write(frames, sizes=copy.sizes)
        await place.clear()
        await place.take_its_place()
    _, again = await taken(client, made.cell.keys)
    assert again.latest == copy.latest
    assert "events" not in again.sizes


async def test_a_copy_is_of_one_moment_whatever_goes_on(client: ValkeyClient) -> None:
    made = Workplace(client, f"copy-{secrets.token_hex(4)}")
    await made.open()
    stop = asyncio.Event()

    async def work() -> None:
        for at in range(400):
            if stop.is_set():
                return
            await made.submit(*(f"job-{at}-{n}" for n in range(50)))
            await made.complete(await made.claim(25))
            await asyncio.sleep(0)

    working = asyncio.create_task(work())
    try:
        for _ in range(8):
            frames, copy = await taken(client, made.cell.keys)
            sizes = dict.fromkeys(KEY_KINDS, 0) | copy.sizes
            # Whatever is half done would show here: each job has a body and is in exactly one place.
            assert sizes["jobs"] == sizes["bodies"] == sizes["waiting"] + sizes["leases"] + sizes["finished"]
            found = sum(len(frame.items) // 2 for frame in frames if frame.part == "jobs")
            assert found == sizes["jobs"]
            assert copy.latest is None or sizes["events"] == copy.latest.sequence
    finally:
        stop.set()
        await working
    assert copy.sizes["jobs"] > 0


async def test_what_was_given_out_before_is_refused_by_name_and_returns_to_the_front(client: ValkeyClient) -> None:
    cell = Cell(client, f"copy-{secrets.token_hex(4)}")
    made = Workplace(client, cell.name)
    made.cell = cell
    await cell.open(CellLimits())
    await cell.declare(["pool:standard", "pool:fast", "service:paint"], by="test")
    await made.register("m")
    await made.submit("first", "second", "third")
    (held,) = await made.claim(1)
    frames, copy = await taken(client, cell.keys)
    assert copy.identity.epoch == 1
    async with staged(client, cell.keys, restore_id=new_id()) as place:
        await place.write(frames, sizes=copy.sizes)
        opened = await place.begin_anew(CellLimits(), nonce="n", above_epoch=7)
        await place.clear()
        await place.take_its_place()
    assert opened.epoch == 8
    reopened = await cell.open(CellLimits())
    assert reopened.epoch == 9  # the server that has it now is none of those before
    with pytest.raises(NoSuchMachine):
        await cell.claim(machine="m", session="s", credits_=1, nonce="n8", park=False)
    outcomes = await cell.complete(machine="m", session="s", done=[Done(held.id, held.token, "{}", "")])
    assert [outcome.word for outcome in outcomes] == ["NS_LEASE_LOST"]
    await made.register("m", session="t")
    outcomes = await cell.complete(machine="m", session="t", done=[Done(held.id, held.token, "{}", "")])
    assert [outcome.word for outcome in outcomes] == ["NS_LEASE_LOST"]
    await made.may_take("m", held.id)
    again = await cell.claim(machine="m", session="t", credits_=1, nonce="n9", park=False)
    assert [job.id for job in again.jobs] == ["first"]
    seen = await made.look("first")
    assert seen is not None
    assert seen.record.recoveries == 0


async def test_a_cell_of_another_layout_is_refused_before_anything_takes_its_place(client: ValkeyClient) -> None:
    import msgspec

    cell = Cell(client, f"copy-{secrets.token_hex(4)}")
    await cell.open(CellLimits())
    identity = msgspec.msgpack.decode(await client.execute_command("HGET", cell.keys["meta"], "identity"))
    await client.execute_command(
        "HSET", cell.keys["meta"], "identity", msgspec.msgpack.encode(identity | {"schema": 99})
    )
    frames, copy = await taken(client, cell.keys)
    async with staged(client, cell.keys, restore_id=new_id()) as place:
        await place.write(frames, sizes=copy.sizes)
        with pytest.raises(SchemaUnsupported):
            await place.begin_anew(CellLimits(), nonce="n")


async def test_an_epoch_that_no_restart_can_have_reached_is_not_chased(client: ValkeyClient) -> None:
    cell = Cell(client, f"copy-{secrets.token_hex(4)}")
    await cell.open(CellLimits())
    frames, copy = await taken(client, cell.keys)
    async with staged(client, cell.keys, restore_id=new_id()) as place:
        await place.write(frames, sizes=copy.sizes)
        with pytest.raises(EpochOutOfReach, match="up to epoch 9000000, and the backup is of epoch 1"):
            await place.begin_anew(CellLimits(), nonce="n", above_epoch=9_000_000)


async def test_there_must_be_a_cell_to_copy(client: ValkeyClient) -> None:
    with pytest.raises(CellMissing):
        await taken(client, CellKeys("never-opened"))
    assert await keys_beside(client, "never-opened") == set()


async def test_a_copy_goes_by_itself_when_nobody_renews_it(client: ValkeyClient, workplace: Workplace) -> None:
    keys = workplace.cell.keys
    async with copied(client, keys, copy_id="here") as copy:
        lapse = [await client.execute_command("PTTL", key) for key in await keys_beside(client, workplace.name)]
        assert all(0 < left <= 600_000 for left in lapse)
        frames = [frame async for frame in copy.frames()]
    async with staged(client, keys, restore_id="there") as place:
        await place.write(frames, sizes=copy.sizes)
        lapse = [await client.execute_command("PTTL", key) for key in await keys_beside(client, workplace.name)]
        assert len(lapse) > 10
        assert all(0 < left <= 600_000 for left in lapse)


async def test_a_copy_that_went_while_it_was_read_or_written_is_missed(
    client: ValkeyClient, workplace: Workplace
) -> None:
    keys = workplace.cell.keys
    async with copied(client, keys, copy_id="here") as copy:
        await client.execute_command("DEL", CellKeys(workplace.name, beside="copy-here")["waiting"])
        with pytest.raises(CopyLost, match="waiting has 0 of 1480 entries"):
            [frame async for frame in copy.frames()]
    frames, copy = await taken(client, keys)
    async with staged(client, keys, restore_id="there") as place:
        with pytest.raises(CopyLost, match="jobs has 1502 of 1503 entries"):
            await place.write(frames, sizes=copy.sizes | {"jobs": 1_503})
        await client.execute_command("DEL", CellKeys(workplace.name, beside="restore-there")["meta"])
        await place.clear()
        with pytest.raises(CopyLost, match="meta"):
            await place.take_its_place()


async def test_a_cell_takes_no_place_that_is_not_empty(client: ValkeyClient, workplace: Workplace) -> None:
    frames, copy = await taken(client, workplace.cell.keys)
    before = await state_of(client, workplace.cell.keys)
    async with staged(client, workplace.cell.keys, restore_id=new_id()) as place:
        with pytest.raises(CellNotEmpty, match="--yes-replace-everything"):
            await place.expect_empty()
        await place.write(frames, sizes=copy.sizes)
        with pytest.raises(CellNotEmpty):
            await place.take_its_place()
    assert await state_of(client, workplace.cell.keys) == before


async def test_a_cell_that_somebody_begins_in_the_same_moment_is_not_overwritten(
    client: ValkeyClient, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = workplace.cell.keys
    frames, copy = await taken(client, keys)
    whole = CellConnection.all_or_none

    async def late(connection: CellConnection, commands: Any) -> Any:
        await client.execute_command("HSET", keys["meta"], "somebody", "else")
        return await whole(connection, commands)

    async with staged(client, keys, restore_id=new_id()) as place:
        await place.write(frames, sizes=copy.sizes)
        await place.clear()
        monkeypatch.setattr(CellConnection, "all_or_none", late)
        with pytest.raises(CellChanged):
            await place.take_its_place()
    assert await state_of(client, keys) == {"meta": {b"somebody": b"else"}}
    assert await keys_beside(client, workplace.name) == set()


async def test_a_server_without_room_for_a_copy_says_so_and_is_not_filled() -> None:
    options = ServerOptions(max_memory_bytes=16 * 1024 * 1024)
    async with servers.embedded_valkey(options) as server, server.client() as client:
        made = Workplace(client, "full")
        await made.open()
        for at in range(14):
            await made.submit(*(f"job-{at}-{n}" for n in range(100)), payload={"prompt": "x" * 6_000})
        with pytest.raises(CopyNeedsMemory, match="raise maxmemory") as refused:
            await taken(client, made.cell.keys)
        assert refused.value.needed_bytes > refused.value.free_bytes
        assert await keys_beside(client, "full") == set()
        await made.submit("still-welcome")


async def test_a_user_who_may_not_copy_is_told_and_leaves_nothing(workplace: Workplace) -> None:
    client: Any = workplace.cell.client
    await client.execute_command("ACL", "SETUSER", "limited", "on", ">pw", "~ns:*", "&ns:*", "+@all", "-copy")
    path = client.connection_pool.connection_kwargs["path"]
    limited = connect(f"unix://limited:pw@{path}")
    try:
        with pytest.raises(ValkeyAuthFailed, match="copy"):
            await taken(limited, workplace.cell.keys)
    finally:
        await limited.aclose()
        await client.execute_command("ACL", "DELUSER", "limited")
    assert await keys_beside(client, workplace.name) == set()


def test_pieces_are_of_bounded_size() -> None:
    items = [b"f", b"v" * 1_000_000] * 9
    frames = list(split("bodies", items))
    assert [len(frame.items) // 2 for frame in frames] == [5, 4]
    assert [item for frame in frames for item in frame.items] == items
    assert max(len(frame.items) // 2 for frame in split("jobs", [b"f", b"v"] * 2_500)) == 1_000
