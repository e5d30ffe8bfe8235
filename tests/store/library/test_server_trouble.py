"""The server takes no writes: a replica, too few replicas, a broken disk, a script that does not end. Each is told apart."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from valkey import Valkey
from valkey.exceptions import ResponseError

from northstar.domain.errors import NorthstarError
from northstar.store import errors
from northstar.store.embedded import ServerOptions
from northstar.store.function_library import build
from northstar.store.valkey import translate
from tests.store.library.private_servers import private_server
from tests.store.library.rig import LIMITS, Cell, Refusal, ask, load
from tests.store.library.scenarios import FAST, a_job, furnish

WITHIN_S = 20.0
SPIN = "#!lua name=spin\nredis.register_function{function_name='spin', callback=function() while true do end end, flags={'no-writes'}}"
both = pytest.mark.parametrize("kind", ["valkey", pytest.param("redis7", marks=pytest.mark.redis7)])


def eventually(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, f"after {WITHIN_S} s still not true: {what}"
        time.sleep(0.02)


def submit(cell: Cell) -> None:
    """Submit one job, or raise what the server says as our own error."""
    spec = cell.library.functions["submit"]
    request = {"nonce": "n", "lanes": [FAST], "jobs": [a_job("new")]}
    try:
        ask(
            cell.server,
            "FCALL",
            spec.server_name,
            len(spec.keys),
            *cell.keys.of(spec.keys),
            cell.library.digest,
            cell.now_ms,
            msgspec.msgpack.encode(request),
        )
    except ResponseError as error:
        raise translate(error) from error


def refused(cell: Cell, error: type[NorthstarError]) -> None:
    """The submit fails with this error and leaves the cell as it was."""
    before = cell.state()
    with pytest.raises(error):
        submit(cell)
    assert cell.state() == before


@pytest_asyncio.fixture(params=["valkey", pytest.param("redis7", marks=pytest.mark.redis7)])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Valkey, Valkey]]:
    """A primary, and a server that a test can make its replica; neither waits for the other longer than it must."""
    tcp = ServerOptions(
        listen="tcp", stop_timeout_s=1.0, directives=(("repl-diskless-sync-delay", "0"), ("shutdown-timeout", "0"))
    )
    async with private_server(request.param, tcp) as (primary, _), private_server(request.param, tcp) as (replica, _):
        yield primary, replica


def test_a_replica_has_the_library_reads_refuses_to_write_and_goes_on_once_promoted(
    pair: tuple[Valkey, Valkey],
) -> None:
    primary, replica = pair
    cell = furnish(Cell(primary)).cell
    ask(replica, "FUNCTION", "FLUSH")
    port = primary.connection_pool.connection_kwargs["port"]
    ask(replica, "REPLICAOF", "127.0.0.1", port)
    eventually(lambda: b"master_link_status:up" in ask_raw_info(replica), "the replica has caught up")
    written = cell.state()
    cell.server = replica
    assert cell.state() == written
    assert cell.call("statistics", lanes=0, after="")["counts"]["live"] > 0
    refused(cell, errors.ValkeyReadOnly)
    ask(replica, "REPLICAOF", "NO", "ONE")
    submit(cell)
    assert cell.call("inspect", jobs=["new"], bodies=False, results=False)["jobs"][0][1][0] == "queued"


def ask_raw_info(server: Valkey) -> bytes:
    info = ask(server, "INFO", "replication")
    return "\n".join(f"{name}:{value}" for name, value in info.items()).encode()


@both
async def test_too_few_replicas_refuse_before_anything_is_written(kind: str) -> None:
    async with private_server(kind) as (server, _):
        cell = furnish(Cell(server)).cell
        ask(server, "CONFIG", "SET", "min-replicas-to-write", 1)
        refused(cell, errors.TooFewReplicas)
        ask(server, "CONFIG", "SET", "min-replicas-to-write", 0)
        submit(cell)


@both
async def test_a_disk_that_takes_nothing_refuses_before_anything_is_written(kind: str) -> None:
    """A snapshot that cannot be stored stops all writes; here a folder stands where its file should."""
    async with private_server(kind) as (server, _):
        cell = furnish(Cell(server)).cell
        in_the_way = Path(ask(server, "CONFIG", "GET", "dir")[1].decode()) / "dump.rdb"
        in_the_way.mkdir()
        (in_the_way / "x").touch()
        ask(server, "CONFIG", "SET", "save", "3600 1")
        save(server, "err")
        refused(cell, errors.DiskFull)
        (in_the_way / "x").unlink()
        in_the_way.rmdir()
        save(server, "ok")
        submit(cell)


def save(server: Valkey, outcome: str) -> None:
    """Take a snapshot and wait for how it ended."""
    with contextlib.suppress(ResponseError):
        ask(server, "BGSAVE")

    def ended() -> bool:
        info = ask(server, "INFO", "persistence")
        return not info["rdb_bgsave_in_progress"] and info["rdb_last_bgsave_status"] == outcome

    eventually(ended, f"the snapshot ended {outcome}")


@both
async def test_a_script_that_does_not_end_is_told_apart_and_can_be_stopped(kind: str) -> None:
    async with private_server(kind) as (server, url):
        cell = furnish(Cell(server)).cell
        before = cell.state()
        ask(server, "CONFIG", "SET", "busy-reply-threshold", 1)
        ask(server, "FUNCTION", "LOAD", SPIN)
        with spinning(url):
            eventually(lambda: busy(server), "the server says that it is busy")
            with pytest.raises(errors.ValkeyBusy):
                submit(cell)
            ask(server, "FUNCTION", "KILL")
        assert cell.state() == before
        submit(cell)


def busy(server: Valkey) -> bool:
    try:
        ask(server, "PING")
    except ResponseError as error:
        return isinstance(translate(error), errors.ValkeyBusy)
    return False


@contextlib.contextmanager
def spinning(url: str) -> Iterator[None]:
    """Run the endless function from another connection; it must have been killed by the end."""

    def run() -> None:
        with Valkey.from_url(url, socket_timeout=WITHIN_S) as other, contextlib.suppress(ResponseError):
            started.set()
            ask(other, "FCALL_RO", "spin", 0)

    started = threading.Event()
    thread = threading.Thread(target=run, name="spinning script")
    thread.start()
    assert started.wait(WITHIN_S)
    try:
        yield
    finally:
        thread.join(WITHIN_S)
        assert not thread.is_alive()


def test_a_refused_opening_leaves_a_live_cell_unopened(pair: tuple[Valkey, Valkey]) -> None:
    """Only who has opened the cell on this very server may change it: the epoch must rise first."""
    server, _ = pair
    cell = Cell(server, clock="live")
    cell.open()
    ask(server, "FUNCTION", "FLUSH")  # as a server that was started again, or promoted, has never opened it
    load(server, build())
    with pytest.raises(Refusal, match="NS_CLOCK_MISMATCH"):
        cell.call("open_cell", clock="virtual", server="here", limits=LIMITS, configure=False)
    with pytest.raises(Refusal, match="NS_CELL_NOT_OPEN"):
        cell.call("pause", scope="cell", because="x", by="me")
    cell.open()
    assert cell.call("pause", scope="cell", because="x", by="me") == {"paused": True}
