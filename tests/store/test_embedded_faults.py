"""Full disks and damaged files, with real file systems and real files."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from northstar.store.embedded import EmbeddedValkey, ServerOptions
from northstar.store.errors import DiskFull, OutOfMemory, ValkeyStartFailed
from northstar.store.valkey import FAULTS, ValkeyClient, connect, translate

KIB = 1024


async def write_until_refused(client: ValkeyClient, *, value: bytes, limit: int = 2000) -> tuple[int, Exception]:
    """How many writes were acknowledged, and the error after that."""
    for number in range(limit):
        try:
            await client.execute_command("SET", f"job:{number}", value)
        except FAULTS as exc:
            return number, translate(exc)
    pytest.fail(f"{limit} writes were taken")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    directory = tmp_path / "tiny"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True, timeout=30).returncode != 0:
        pytest.skip("mounting a small file system needs root and the right to mount")
    yield directory
    subprocess.run(["umount", str(directory)], check=True, timeout=30)


async def test_a_full_disk_refuses_writes_in_the_servers_words_and_takes_them_again_once_there_is_room(
    tiny_disk: Path,
) -> None:
    filler = tiny_disk / "filler"
    async with EmbeddedValkey(tiny_disk / "data") as server:
        client = connect(server.url)
        filler.write_bytes(b"x" * (3 * KIB * KIB))
        acknowledged, error = await write_until_refused(client, value=b"v" * 16 * KIB)
        assert isinstance(error, DiskFull)
        assert error.code == "NS_DISK_FULL"
        assert "No space left on device" in str(error)
        assert acknowledged > 0
        assert await client.execute_command("GET", "job:0") == b"v" * 16 * KIB  # reading goes on
        health = await server.health()
        assert (health.aof_write_ok, health.is_well) == (False, False)
        assert health.last_write_error
        filler.unlink()
        async with asyncio.timeout(20):  # the server tries again once a second
            while not (await server.health()).is_well:
                pass
        await client.execute_command("SET", "job:new", "taken")
        await client.aclose()
    async with EmbeddedValkey(tiny_disk / "data") as server:
        client = connect(server.url)
        assert await client.execute_command("GET", "job:new") == b"taken"
        assert await client.execute_command("EXISTS", *(f"job:{n}" for n in range(acknowledged))) == acknowledged
        await client.aclose()


async def test_with_every_write_synced_a_full_disk_ends_the_server_and_keeps_what_was_acknowledged(
    tiny_disk: Path,
) -> None:
    options = ServerOptions(fsync="always")
    filler = tiny_disk / "filler"
    async with EmbeddedValkey(tiny_disk / "data", options=options) as server:
        client = connect(server.url)
        filler.write_bytes(b"x" * (3 * KIB * KIB))
        acknowledged, _ = await write_until_refused(client, value=b"v" * 16 * KIB)
        death = await server.died
        await client.aclose()
        assert death is not None
        assert death.exit_status == 1
        filler.unlink()
    async with EmbeddedValkey(tiny_disk / "data", options=options) as server:
        client = connect(server.url)
        assert await client.execute_command("EXISTS", *(f"job:{n}" for n in range(acknowledged))) == acknowledged
        await client.aclose()


def fill(filler: Path) -> None:
    """Write until there is no byte left."""
    with filler.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * 4 * KIB)
            except OSError as exc:
                if exc.errno != errno.ENOSPC:
                    raise
                return


async def test_a_start_on_a_full_disk_says_so(tiny_disk: Path) -> None:
    (tiny_disk / "data").mkdir()
    fill(tiny_disk / "filler")
    with pytest.raises(DiskFull, match=f"[nN]o space left .*{tiny_disk / 'data'}"):
        await EmbeddedValkey(tiny_disk / "data").start()


async def a_directory_with_ten_jobs(directory: Path) -> Path:
    """Its newest append-only file."""
    async with EmbeddedValkey(directory) as server:
        client = connect(server.url)
        for number in range(10):
            await client.execute_command("SET", f"job:{number}", "waiting")
        await client.aclose()
    (file,) = (directory / "appendonlydir").glob("*.incr.aof")
    return file


async def test_an_append_only_file_cut_off_in_the_middle_of_a_write_loses_only_that_write(tmp_path: Path) -> None:
    file = await a_directory_with_ten_jobs(tmp_path)
    file.write_bytes(file.read_bytes() + b"*3\r\n$3\r\nSET\r\n$6\r\njob:1")
    async with EmbeddedValkey(tmp_path) as server:
        client = connect(server.url)
        assert await client.execute_command("DBSIZE") == 10
        await client.aclose()
        assert "Truncating the AOF" in server.log_path.read_text()


async def test_a_damaged_append_only_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = await a_directory_with_ten_jobs(tmp_path)
    good = file.read_bytes()
    damaged = good[: len(good) // 2] + b"\x00garbage\x00" + good[len(good) // 2 :]
    file.write_bytes(damaged)
    with pytest.raises(ValkeyStartFailed) as caught:
        await EmbeddedValkey(tmp_path).start()
    sentence = str(caught.value)
    assert sentence.startswith(f"the embedded Valkey on {tmp_path} ended with status 1: ")
    assert "Bad file format reading the append only file" in sentence
    assert "restore the directory from a copy, or start on another one" in sentence
    assert sentence.endswith(f"(log: {tmp_path}/valkey.log)")
    assert file.read_bytes() == damaged
    file.write_bytes(good)
    async with EmbeddedValkey(tmp_path) as server:
        assert (await server.health()).is_well


async def test_a_server_at_its_memory_limit_refuses_writes_and_throws_nothing_away(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path, options=ServerOptions(max_memory_bytes=8 * KIB * KIB)) as server:
        client = connect(server.url)
        acknowledged, error = await write_until_refused(client, value=b"v" * 64 * KIB)
        assert isinstance(error, OutOfMemory)
        assert error.code == "NS_OUT_OF_MEMORY"
        assert await client.execute_command("DBSIZE") == acknowledged > 0
        await client.aclose()
