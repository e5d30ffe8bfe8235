"""The embedded server from start to stop: what it keeps, where it listens, how it ends, what happens when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from valkey.asyncio import Valkey

from northstar.domain.errors import InvalidRequest, NorthstarError
from northstar.store.embedded import EmbeddedValkey, RestartPolicy, ServerDeath, ServerOptions
from northstar.store.embedded.log import ServerLog
from northstar.store.errors import ValkeyBinaryMissing, ValkeyGone, ValkeyLoading, ValkeyStartFailed, ValkeyTimeout
from northstar.store.valkey import check_server, connect
from tests.servers import killed_at_exit, wait_for_end

LIBRARY = "#!lua name=keeps\nredis.register_function('keeps_answer', function() return 42 end)"

#: Microseconds for each key that is read; the server answers in between, after every 1,024 of them.
SLOW_TO_LOAD = (("key-load-delay", "20"),)


async def run(url: str, *command: str | int) -> Any:
    client = connect(url)
    try:
        return await client.execute_command(*command)
    finally:
        await client.aclose()


async def test_a_restart_keeps_data_and_functions(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    await server.start()
    await run(server.url, "FUNCTION LOAD", LIBRARY)
    await run(server.url, "SET", "job", "waiting")
    await server.stop()
    await server.start()
    try:
        assert await run(server.url, "GET", "job") == b"waiting"
        assert await run(server.url, "FCALL", "keeps_answer", 0) == 42
    finally:
        await server.stop()


async def test_a_server_that_reads_much_data_has_longer_and_is_ready_only_when_it_has_read_it(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as server:
        await run(server.url, "EVAL", "for i = 1, 24000 do redis.call('SET', 'job:' .. i, 'waiting') end", 0)
    async with EmbeddedValkey(tmp_path, options=ServerOptions(directives=SLOW_TO_LOAD, start_timeout_s=1.0)) as server:
        assert await run(server.url, "DBSIZE") == 24000


async def test_a_server_that_still_reads_its_data_is_no_server_to_use_yet(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as server:
        await run(server.url, "EVAL", "for i = 1, 24000 do redis.call('SET', 'job:' .. i, 'waiting') end", 0)
    server = EmbeddedValkey(tmp_path, options=ServerOptions(directives=SLOW_TO_LOAD))
    start = asyncio.create_task(server.start())
    socket_path = await noted_in_the_lock(tmp_path, "socket_path")
    client = connect(f"unix://{socket_path}")
    seen = await first_fault_but_absence(client)
    assert isinstance(seen, ValkeyLoading)
    assert "still loading its data" in str(seen)
    await client.aclose()
    await start
    await server.stop()


async def noted_in_the_lock(data_dir: Path, field: str) -> Any:
    """What a start under way has written down about its server."""
    lock = data_dir / "northstar.lock"
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                if (value := json.loads(lock.read_text())[field]) is not None:
                    return value
            await asyncio.sleep(0)


async def first_fault_but_absence(client: Any) -> NorthstarError | None:
    async with asyncio.timeout(20):
        while True:
            try:
                await check_server(client)
            except ValkeyGone:
                await asyncio.sleep(0.01)
            except NorthstarError as error:
                return error
            else:
                return None


async def test_without_a_sync_policy_an_orderly_stop_still_keeps_the_last_write(tmp_path: Path) -> None:
    options = ServerOptions(fsync="no")
    async with EmbeddedValkey(tmp_path, options=options) as server:
        await run(server.url, "SET", "last", "write")
        log = server.log_path
    words = log.read_text()
    assert "Calling fsync() on the AOF file" in words
    assert "ready to exit" in words
    async with EmbeddedValkey(tmp_path, options=options) as server:
        assert await run(server.url, "GET", "last") == b"write"


async def test_stop_leaves_neither_process_nor_socket_nor_lock_and_may_be_called_again(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    await server.start()
    pid, socket_path = server.pid, Path(server.url.removeprefix("unix://"))
    died = server.died
    assert socket_path.exists()
    await server.stop()
    await server.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert not socket_path.parent.exists()
    assert (tmp_path / "northstar.lock").read_bytes() == b""
    assert await died is None


async def test_a_temporary_server_removes_its_directory_at_its_stop() -> None:
    async with EmbeddedValkey() as server:
        directory = server.data_dir
        assert (directory / "appendonlydir").is_dir()
    assert not directory.exists()


NAMES = [
    "with space",
    'double " quote',
    "it's",
    "ünï-コード",
    "back\\slash",
    "new\nline",
    "# not a comment",
    "n" * 200,
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_data_directory_may_have_any_name(tmp_path: Path, name: str) -> None:
    for value in (None, b"kept"):
        async with EmbeddedValkey(tmp_path / name) as server:
            assert await run(server.url, "GET", "a") == value
            await run(server.url, "SET", "a", "kept")


async def test_the_address_is_understood_by_the_plain_client_library(tmp_path: Path) -> None:
    options = ServerOptions(password="p@ss/w:rd ü")
    async with EmbeddedValkey(tmp_path, options=options) as server, Valkey.from_url(server.url) as client:
        assert await client.ping() is True


async def test_the_socket_is_for_this_user_only_and_its_path_is_short(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path / ("d" * 150)) as server:
        path = Path(server.url.removeprefix("unix://"))
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(path)) <= 103


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
async def test_a_password_protects_the_server_and_does_not_hinder_its_start(tmp_path: Path, host: str) -> None:
    options = ServerOptions(listen="tcp", host=host, password='s3cret "x" \\ ü')
    async with EmbeddedValkey(tmp_path, options=options) as server:
        assert await run(server.url, "PING") is True
        assert b"s3cret" not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
        with pytest.raises(Exception, match=r"[Aa]uthentication required"):
            await run(f"valkey://{host}:{server.url.rpartition(':')[2]}", "PING")
        assert "s3cret" not in repr(server) + repr(server.options)


async def test_six_servers_started_at_once_find_six_ports() -> None:
    servers = [EmbeddedValkey(options=ServerOptions(listen="tcp")) for _ in range(6)]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        assert len({server.url for server in servers}) == 6
    finally:
        await asyncio.gather(*(server.stop() for server in servers))


class TakesThePortAway(random.Random):
    """Chooses a free port first, and sees to it that somebody listens there before the server can."""

    taken: socket.socket | None = None

    def choice(self, seq: Any) -> Any:
        port = super().choice(seq)
        if self.taken is None:
            self.taken = socket.socket()
            asyncio.get_running_loop().call_soon(self._listen, self.taken, port)
        return port

    @staticmethod
    def _listen(taken: socket.socket, port: int) -> None:
        taken.bind(("127.0.0.1", port))
        taken.listen()


@pytest.fixture
def thief() -> Iterator[TakesThePortAway]:
    thief = TakesThePortAway()
    yield thief
    if thief.taken is not None:
        thief.taken.close()


async def test_a_port_taken_in_the_moment_between_choice_and_start_costs_another_try(
    tmp_path: Path, thief: TakesThePortAway
) -> None:
    async with EmbeddedValkey(tmp_path, options=ServerOptions(listen="tcp"), rng=thief) as server:
        assert thief.taken is not None
        assert int(server.url.rpartition(":")[2]) != thief.taken.getsockname()[1]
        assert "Failed listening" in server.log_path.read_text()
        assert await run(server.url, "PING") is True


async def test_a_wished_port_that_is_taken_is_refused_in_the_servers_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValkeyStartFailed, match=f"ended with status 1: .*{port}.*Address already in use") as caught:
            await EmbeddedValkey(tmp_path, options=ServerOptions(listen="tcp", port=port)).start()
    assert caught.value.code == "NS_VALKEY_START_FAILED"


async def test_a_wrong_directive_is_quoted_and_the_password_is_not(tmp_path: Path) -> None:
    options = ServerOptions(password="hunter22", directives=(("no-such-thing", "hunter22"),))
    with pytest.raises(ValkeyStartFailed, match="no-such-thing") as caught:
        await EmbeddedValkey(tmp_path, options=options).start()
    assert "hunter22" not in str(caught.value)


async def test_a_program_that_cannot_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValkeyStartFailed, match=r"cannot run /nowhere/valkey: No such file or directory"):
        await EmbeddedValkey(tmp_path, options=ServerOptions(binary=Path("/nowhere/valkey"))).start()


async def test_a_program_that_stays_silent_is_ended_after_the_deadline(tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 100\n")
    silent.chmod(0o700)
    start = asyncio.create_task(
        EmbeddedValkey(tmp_path / "data", options=ServerOptions(binary=silent, start_timeout_s=0.3)).start()
    )
    pid = await noted_in_the_lock(tmp_path / "data", "server_pid")
    with pytest.raises(ValkeyStartFailed, match="did not answer in time: it left no word in its log"):
        await start
    assert not Path(f"/proc/{pid}").exists()


async def test_a_start_that_is_given_up_leaves_no_process(tmp_path: Path) -> None:
    start = asyncio.create_task(EmbeddedValkey(tmp_path).start())
    pid = await noted_in_the_lock(tmp_path, "server_pid")
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not Path(f"/proc/{pid}").exists()
    async with EmbeddedValkey(tmp_path) as server:
        assert await run(server.url, "PING") is True


async def test_a_server_ends_with_the_thread_that_started_it(tmp_path: Path) -> None:
    """The kernel watches the thread, not the process: an event loop in a thread must outlive its server."""
    started: list[tuple[int, str]] = []

    async def start_and_forget() -> None:
        server = EmbeddedValkey(tmp_path)
        await server.start()
        started.append((server.pid, server.url))

    thread = threading.Thread(target=asyncio.run, args=(start_and_forget(),))
    thread.start()
    await asyncio.to_thread(thread.join, 30)
    ((pid, url),) = started
    await wait_for_end(pid)
    assert "ready to exit" in (tmp_path / "valkey.log").read_text()
    Path(url.removeprefix("unix://")).parent.rmdir()  # nobody was left to do it


async def test_the_death_of_the_server_is_told_with_its_cause(tmp_path: Path) -> None:
    told: list[ServerDeath] = []
    async with EmbeddedValkey(tmp_path, on_death=told.append) as server:
        pid = server.pid
        os.kill(pid, signal.SIGKILL)
        death = await asyncio.wait_for(server.died, timeout=10)
        assert death is not None
        assert death.sentence() == f"Valkey process {pid} was ended by SIGKILL: Ready to accept connections unix"
        assert told == [death]
        with pytest.raises(ValkeyGone, match="has ended"):
            await server.health()


async def test_a_failing_callback_does_not_end_the_supervision(tmp_path: Path) -> None:
    def fail(_: ServerDeath) -> None:
        raise ValueError("not our mistake")

    async with EmbeddedValkey(tmp_path, on_death=fail) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert await asyncio.wait_for(server.died, timeout=10) is not None


async def test_a_server_that_died_comes_back_at_the_same_address_with_its_data_until_the_limit(tmp_path: Path) -> None:
    options = ServerOptions(listen="tcp", restart=RestartPolicy(limit=2, first_delay_s=0.01))
    async with EmbeddedValkey(tmp_path, options=options) as server:
        url = server.url
        await run(url, "SET", "job", "waiting")
        for _ in range(2):
            before = server.pid
            os.kill(before, signal.SIGKILL)
            async with asyncio.timeout(20):
                while server.pid == before:
                    await asyncio.sleep(0.01)
            assert await run(url, "GET", "job") == b"waiting"
            assert server.url == url
        os.kill(server.pid, signal.SIGKILL)
        assert await asyncio.wait_for(server.died, timeout=10) is not None


async def test_an_idle_connection_survives_the_restart_of_the_server(tmp_path: Path) -> None:
    options = ServerOptions(restart=RestartPolicy(first_delay_s=0.01))
    async with EmbeddedValkey(tmp_path, options=options) as server:
        client = connect(server.url)
        await client.execute_command("SET", "a", 1)
        before = server.pid
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(20):
            while server.pid == before:
                await asyncio.sleep(0.01)
        assert await client.execute_command("GET", "a") == b"1"
        await client.aclose()


def test_restarts_wait_longer_each_time_and_only_deaths_within_the_window_count() -> None:
    policy = RestartPolicy(limit=3, window_s=60, first_delay_s=0.1, max_delay_s=0.3)
    assert [policy.delay_s([100.0] * n, now=101) for n in (1, 2, 3, 4)] == [0.1, 0.2, 0.3, None]
    assert policy.delay_s([0.0, 0.0, 0.0, 100.0], now=101) == 0.1


async def test_a_hung_server_fails_its_health_check_and_is_stopped_by_force(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path, options=ServerOptions(stop_timeout_s=0.2))
    await server.start()
    with killed_at_exit(server.pid):
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ValkeyTimeout, match="did not answer in time"):
            await server.health()
        await server.stop()
        await wait_for_end(pid)
    async with EmbeddedValkey(tmp_path) as again:
        assert (await again.health()).is_well


async def test_health_tells_version_memory_and_the_state_of_the_file(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path, options=ServerOptions(max_memory_bytes=64 * 2**20)) as server:
        health = await server.health()
        assert health.pid == server.pid
        assert health.version.startswith("9.")
        assert health.max_memory_bytes == 64 * 2**20
        assert 0 < health.used_memory_bytes < 64 * 2**20
        assert (health.aof_enabled, health.aof_write_ok, health.aof_rewrite_ok) == (True, True, True)
        assert health.last_write_error is None
        assert health.is_well


async def test_the_server_that_comes_with_us_passes_our_own_check(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path, options=ServerOptions(fsync="always")) as server:
        client = connect(server.url)
        facts = await check_server(client)
        await client.aclose()
    assert facts.sentence() == f"valkey {facts.version}, append-only file always, 0 replicas, memory unlimited"


async def test_the_log_is_moved_aside_when_it_is_over_its_limit(tmp_path: Path) -> None:
    options = ServerOptions(log_limit_bytes=1000)
    for _ in range(4):
        async with EmbeddedValkey(tmp_path, options=options):
            pass
    assert sorted(path.name for path in tmp_path.glob("valkey.log*")) == ["valkey.log", "valkey.log.1"]
    log = ServerLog(tmp_path / "valkey.log", limit_bytes=10)
    log.rotate()
    assert not log.path.exists()


async def test_a_server_runs_under_uvloop_too(tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def life() -> bool:
        async with EmbeddedValkey(tmp_path) as server:
            return bool(await run(server.url, "PING"))

    def in_a_thread() -> bool:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(life())

    assert await asyncio.to_thread(in_a_thread)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_memory_bytes": 1}, "max_memory_bytes must be at least 8,388,608 bytes (8.4 MB), not 1 byte"),
        ({"port": 70000}, "port must be between 1 and 65535, not 70000"),
        ({"password": ""}, "an empty password protects nothing; leave it out or give one"),
        ({"listen": "tcp", "host": "0.0.0.0"}, "a server on 0.0.0.0 can be reached by others and needs a password"),
        ({"directives": (("AppendOnly", "no"),)}, "the directive AppendOnly is set by North Star itself"),
    ],
)
def test_options_that_cannot_work_are_refused_in_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ServerOptions(**options)
    assert str(caught.value) == sentence


def test_a_missing_program_says_what_to_do() -> None:
    sentence = str(ValkeyBinaryMissing("unsupported platform"))
    assert sentence == (
        "no Valkey program to start: unsupported platform. Reinstall North Star, or give the URL of a server"
    )
