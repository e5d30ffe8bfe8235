"""One server to a directory, and none without its parent: real parent processes, killed for real."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from northstar.store.embedded import EmbeddedValkey
from northstar.store.embedded.lock import DataDirectoryLock
from northstar.store.errors import DataDirectoryInUse, DataDirectoryUnusable
from northstar.store.valkey import connect
from tests.servers import killed_at_exit, wait_for_end

PARENT = """
import asyncio, os, signal, sys
from pathlib import Path
from northstar.store.embedded import EmbeddedValkey

async def main(path, then):
    server = EmbeddedValkey(Path(path) if path else None)
    await server.start()
    print(server.pid, server.data_dir, server.url, sep="\\n", flush=True)
    if then == "stay":
        await asyncio.Event().wait()

signal.alarm(100)
asyncio.run(main(*sys.argv[1:3]))
"""

#: Starts a server, forks; the child either stops "its" server and exits, or lives on.
FORKING = """
import asyncio, os, signal, sys
from pathlib import Path
from northstar.store.embedded import EmbeddedValkey

signal.alarm(100)
path, then = sys.argv[1:3]
loop = asyncio.new_event_loop()
server = EmbeddedValkey(Path(path) if path else None)
loop.run_until_complete(server.start())
child = os.fork()
if child == 0:
    if then == "exit":
        asyncio.new_event_loop().run_until_complete(server.stop())
        sys.exit(0)
    signal.alarm(100)
    signal.pause()
if then == "exit":
    os.waitpid(child, 0)
else:
    print(child, flush=True)
print(server.pid, server.data_dir, server.url, sep="\\n", flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class Parent:
    process: subprocess.Popen[str]
    server_pid: int
    data_dir: Path
    url: str
    child_pid: int = 0

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=30)


@contextlib.contextmanager
def parent(script: str, *arguments: str, says_child: bool = False) -> Iterator[Parent]:
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    cleanup = contextlib.ExitStack()
    try:
        child = int(process.stdout.readline()) if says_child else 0
        pid, data_dir, url = (process.stdout.readline().rstrip("\n") for _ in range(3))
        cleanup.callback(tidy_up, Path(url.removeprefix("unix://")))
        with contextlib.suppress(ProcessLookupError):  # one that was left to itself may have ended by now
            cleanup.enter_context(killed_at_exit(int(pid)))
        yield Parent(process, int(pid), Path(data_dir), url, child)
    finally:
        process.kill()
        process.wait(timeout=30)
        process.stdout.close()
        cleanup.close()


def tidy_up(socket_path: Path) -> None:
    """The socket's directory of a killed server, which nobody will start again on its data."""
    shutil.rmtree(socket_path.parent, ignore_errors=True)


async def run(url: str, *command: str | int) -> Any:
    client = connect(url)
    try:
        return await client.execute_command(*command)
    finally:
        await client.aclose()


async def test_a_killed_parent_leaves_no_server_and_its_data_and_functions_are_there_at_the_next_start(
    tmp_path: Path,
) -> None:
    with parent(PARENT, str(tmp_path), "stay") as killed:
        await run(killed.url, "FUNCTION LOAD", "#!lua name=k\nredis.register_function('k_f', function() return 7 end)")
        for number in range(100):
            await run(killed.url, "SET", f"job:{number}", number)
        killed.kill()
        async with EmbeddedValkey(tmp_path) as server:  # waits for the old one to end, without being told to
            await wait_for_end(killed.server_pid, within_s=1)
            assert await run(server.url, "DBSIZE") == 100
            assert await run(server.url, "FCALL", "k_f", 0) == 7
            assert "Calling fsync() on the AOF file" in server.log_path.read_text()
        assert not Path(killed.url.removeprefix("unix://")).parent.exists()


async def test_a_killed_parent_that_nobody_has_buried_yet_does_not_count_as_alive(tmp_path: Path) -> None:
    with parent(PARENT, str(tmp_path), "stay") as killed:
        killed.process.kill()  # and no wait: it stays behind as a zombie
        async with EmbeddedValkey(tmp_path) as server:
            assert await run(server.url, "PING") is True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGABRT])
async def test_the_server_ends_with_its_parent_however_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    with parent(PARENT, str(tmp_path), "stay") as ended:
        ended.kill(number)
        await wait_for_end(ended.server_pid)


async def test_a_parent_that_forgets_to_stop_its_server_still_ends_it_in_good_order(tmp_path: Path) -> None:
    with parent(PARENT, str(tmp_path), "leave") as left:
        await wait_for_end(left.server_pid)
        assert "ready to exit" in (tmp_path / "valkey.log").read_text()


async def test_ctrl_c_reaches_the_parent_and_not_the_server(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as server:
        assert os.getpgid(server.pid) != os.getpgid(0)
        assert os.getsid(server.pid) != os.getsid(0)


async def test_a_second_start_on_the_same_directory_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with parent(PARENT, str(tmp_path), "stay") as first:
        with pytest.raises(DataDirectoryInUse) as caught:
            await EmbeddedValkey(tmp_path).start()
        assert caught.value.code == "NS_DATA_DIR_IN_USE"
        assert caught.value.pid == first.process.pid
        assert str(caught.value).startswith(
            f"data directory {tmp_path} is in use by process {first.process.pid} (its Valkey: {first.server_pid}) since 20"
        )
        assert str(caught.value).endswith("; stop that first, or choose another directory")
        assert await run(first.url, "PING") is True


async def test_of_two_starts_at_once_on_one_directory_exactly_one_is_refused(tmp_path: Path) -> None:
    servers = [EmbeddedValkey(tmp_path) for _ in range(2)]
    outcomes = await asyncio.gather(*(server.start() for server in servers), return_exceptions=True)
    try:
        assert [type(outcome) for outcome in outcomes if outcome is not None] == [DataDirectoryInUse]
        winner = servers[outcomes.index(None)]
        assert await run(winner.url, "PING") is True
    finally:
        for server in servers:
            await server.stop()


async def test_a_server_that_outlives_its_parent_keeps_the_lock_and_is_named(tmp_path: Path) -> None:
    with parent(PARENT, str(tmp_path), "stay") as killed:
        os.kill(killed.server_pid, signal.SIGSTOP)  # so that it cannot follow its parent
        killed.kill()
        lock = DataDirectoryLock(tmp_path, orphan_patience_s=0.2)
        with pytest.raises(DataDirectoryInUse) as caught:
            await lock.acquire()
        assert caught.value.pid == killed.server_pid
        assert f"Valkey process {killed.server_pid}, which outlived process {killed.process.pid}" in str(caught.value)
        os.kill(killed.server_pid, signal.SIGKILL)
        lock = DataDirectoryLock(tmp_path)
        await lock.acquire()
        lock.close()


async def test_a_forked_child_that_stops_and_exits_takes_nothing_away() -> None:
    with parent(FORKING, "", "exit") as forked:
        assert forked.data_dir.is_dir()
        assert await run(forked.url, "SET", "still", "here") is True
        forked.kill()
        await wait_for_end(forked.server_pid)
    shutil.rmtree(forked.data_dir)


async def test_a_forked_child_that_lives_on_does_not_keep_the_lock(tmp_path: Path) -> None:
    with parent(FORKING, str(tmp_path), "live", says_child=True) as forked, killed_at_exit(forked.child_pid):
        forked.kill()
        await wait_for_end(forked.server_pid)
        assert Path(f"/proc/{forked.child_pid}").exists()
        async with EmbeddedValkey(tmp_path) as server:
            assert await run(server.url, "PING") is True


async def test_a_lock_that_somebody_holds_without_giving_a_name_is_refused(tmp_path: Path) -> None:
    first, second = DataDirectoryLock(tmp_path), DataDirectoryLock(tmp_path, orphan_patience_s=0.1)
    await first.acquire()
    os.ftruncate(first.fileno, 0)
    with pytest.raises(DataDirectoryInUse, match="in use by a process that gives no name"):
        await second.acquire()
    first.close()
    await second.acquire()
    second.close()


async def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirectoryUnusable) as caught:
        await EmbeddedValkey(tmp_path / "file").start()
    assert caught.value.code == "NS_DATA_DIR_UNUSABLE"
    assert str(caught.value) == f"data directory {tmp_path / 'file'} cannot be used: File exists: {tmp_path / 'file'}"


async def test_a_server_started_twice_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as server:
        with pytest.raises(RuntimeError, match="started already"):
            await server.start()
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = server.url
