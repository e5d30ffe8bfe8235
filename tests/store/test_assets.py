"""The asset store: a local folder, and any other place that fsspec reaches."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import importlib.util
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from northstar.store.asset_errors import (
    AssetDamaged,
    AssetElsewhere,
    AssetMissing,
    AssetNameRefused,
    AssetStoreExtraMissing,
    AssetStoreFull,
    AssetStoreUnavailable,
    AssetTooLarge,
)
from northstar.store.asset_names import mark_of
from northstar.store.assets import AssetRef, AssetStore

#: 23 November 2026, a quarter past four in the afternoon, UTC.
AT_MS = 1_795_450_500_000
HOUR = "20261123-16"
PLACE: dict[str, Any] = {"cell": "eu-1", "job_id": "job-7", "name": "frames/picture 1.png", "at_ms": AT_MS}


class FaultyFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store in memory that forgets half of what it is given, or has no room, by the name of the file."""

    protocol = "faulty"

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "wb" and "full" in path:
            raise OSError(errno.ENOSPC, "No space left on device")
        if mode == "wb" and "cut" in path:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        if mode == "rb" and "damaged" in path:
            return super()._open(path, "rb", **options).__class__(self, path, b"other bytes")
        return super()._open(path, mode, **options)


fsspec.register_implementation("faulty", FaultyFileSystem, clobber=True)


@pytest.fixture(params=["folder", "file://", "memory://"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AssetStore]:
    match request.param:
        case "folder":
            yield AssetStore(tmp_path / "assets")
        case "file://":
            yield AssetStore(f"file://{tmp_path}/assets")
        case _:
            yield AssetStore(f"memory://{tmp_path.name}/assets")
            MemoryFileSystem.store.clear()


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_what_was_put_is_what_comes_back(store: AssetStore) -> None:
    data = os.urandom(2_500_000)
    ref = await store.put(data, **PLACE, media_type="image/png")
    assert ref == AssetRef(
        url=ref.url, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), media_type="image/png"
    )
    assert ref.url.startswith(
        f"{store.url}/eu-1/{HOUR}/job-7/{mark_of(sha256=ref.sha256, media_type=ref.media_type)}/frames/"
    )
    assert await store.get(ref) == data
    pieces = [piece async for piece in store.chunks(ref)]
    assert max(map(len, pieces)) <= 1024 * 1024
    assert b"".join(pieces) == data


async def test_a_file_is_put_without_being_held_in_memory(store: AssetStore, tmp_path: Path) -> None:
    source = tmp_path / "result.txt"
    source.write_bytes(b"done" * 1_000_000)
    ref = await store.put(source, **PLACE)
    assert ref.size_bytes == 4_000_000
    assert (await store.get(ref))[:8] == b"donedone"


async def test_an_empty_asset_is_an_asset(store: AssetStore) -> None:
    assert await store.get(await store.put(b"", **PLACE)) == b""


async def test_putting_the_same_twice_is_putting_it_once_and_other_bytes_stand_beside(store: AssetStore) -> None:
    first, again, other = await asyncio.gather(*(store.put(data, **PLACE) for data in (b"one", b"one", b"two")))
    assert first == again
    assert first.url != other.url
    assert await store.get(first) == b"one"
    assert await store.get(other) == b"two"


async def test_a_removed_asset_is_missing(store: AssetStore) -> None:
    ref = await store.put(b"data", **PLACE)
    await store.remove(ref)
    with pytest.raises(AssetMissing, match=r"there is no asset .*it was removed"):
        await store.get(ref)
    with pytest.raises(AssetMissing):
        await store.remove(ref)


BAD_PARTS = ["", ".", "..", "a/../b", "../a", "/a", "a//b", "a\\b", "a\0b", "a\nb", ".hidden", "-o", "a.", "x" * 201]


@pytest.mark.parametrize("name", [*BAD_PARTS, "/".join("a" * 12)])
async def test_a_name_that_leaves_the_folder_is_refused(store: AssetStore, name: str) -> None:
    with pytest.raises(AssetNameRefused, match=r"the name .* cannot be used in the asset store"):
        await store.put(b"data", cell="c", job_id="j", name=name, at_ms=AT_MS)


@pytest.mark.parametrize("part", [*BAD_PARTS, "a/b"])
async def test_cell_and_job_are_single_parts(store: AssetStore, part: str) -> None:
    with pytest.raises(AssetNameRefused, match="the cell"):
        await store.put(b"data", cell=part, job_id="j", name="n", at_ms=AT_MS)
    with pytest.raises(AssetNameRefused, match="the job id"):
        await store.put(b"data", cell="c", job_id=part, name="n", at_ms=AT_MS)


@pytest.mark.parametrize("tail", ["/../secret", "/eu-1/%2e%2e/%2e%2e/secret", "-other/a", ""])
async def test_an_address_outside_the_store_is_refused(store: AssetStore, tail: str) -> None:
    ref = AssetRef(url=f"{store.url}{tail}", size_bytes=1, sha256="0" * 64, media_type="text/plain")
    refusals = (AssetNameRefused, AssetElsewhere)
    with pytest.raises(refusals):
        await store.get(ref)
    with pytest.raises(refusals):
        await store.remove(ref)
    with pytest.raises(refusals):
        store.local_path(ref)


async def test_a_file_of_another_store_is_told_with_the_setting_that_is_wrong(
    store: AssetStore, tmp_path: Path
) -> None:
    ref = await AssetStore(tmp_path / "brokers").put(b"data", cell="c", job_id="j", name="n", at_ms=AT_MS)
    with pytest.raises(AssetElsewhere, match=r"set assets\.url as the brokers have it") as refused:
        await store.get(ref)
    assert store.url in str(refused.value)


async def test_sizes_are_bounded_on_the_way_in_and_out(tmp_path: Path) -> None:
    store = AssetStore(tmp_path, max_asset_bytes=10)
    with pytest.raises(AssetTooLarge, match="larger than 10 bytes; nothing of it was kept"):
        await store.put(b"x" * 11, **PLACE)
    assert files_in(tmp_path) == []
    ref = await store.put(b"x" * 10, **PLACE)
    with pytest.raises(AssetTooLarge, match="larger than 9 bytes"):
        await store.get(ref, max_bytes=9)


async def test_a_folder_shows_only_whole_files_and_no_drafts(tmp_path: Path) -> None:
    store = AssetStore(tmp_path)
    ref = await store.put(b"data", **PLACE)
    assert files_in(tmp_path) == [
        f"eu-1/{HOUR}/job-7/{mark_of(sha256=ref.sha256, media_type=ref.media_type)}/frames/picture 1.png"
    ]
    path = store.local_path(ref)
    assert path is not None
    assert path.read_bytes() == b"data"
    await store.remove(ref)
    assert not (tmp_path / "eu-1").exists()


@pytest.mark.parametrize("bytes_now", [b"dat!", b"data and more", b"da"])
async def test_a_damaged_file_is_never_passed_on(tmp_path: Path, bytes_now: bytes) -> None:
    store = AssetStore(tmp_path)
    ref = await store.put(b"data", **PLACE)
    path = store.local_path(ref)
    assert path is not None
    path.write_bytes(bytes_now)
    with pytest.raises(AssetDamaged, match=r"is damaged: its SHA-256 is .* instead of"):
        await store.get(ref)


async def test_links_are_followed_neither_in_nor_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    store = AssetStore(tmp_path / "assets")
    (tmp_path / "assets" / "eu-1").symlink_to(outside)
    with pytest.raises(AssetNameRefused):
        await store.put(b"data", **PLACE)
    (tmp_path / "link").symlink_to(outside / "secret")
    with pytest.raises(AssetStoreUnavailable, match="symbolic links"):
        await store.put(tmp_path / "link", cell="c", job_id="j", name="n", at_ms=AT_MS)
    assert files_in(outside) == ["secret"]


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
async def test_a_source_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    if kind == "folder":
        source.mkdir()
    elif kind == "pipe":
        os.mkfifo(source)
    with pytest.raises((AssetMissing, AssetNameRefused, AssetStoreUnavailable)):
        await AssetStore(tmp_path / "assets").put(source, **PLACE)


async def test_a_store_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(AssetStoreUnavailable, match="the asset store failed"):
        AssetStore(tmp_path / "file")


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="the extra is installed here")
def test_a_missing_extra_is_named() -> None:
    with pytest.raises(AssetStoreExtraMissing, match=r"pip install 'northstar-broker\[s3\]'") as caught:
        AssetStore("s3://bucket/folder")
    assert (caught.value.code, caught.value.retryable) == ("NS_ASSET_STORE_EXTRA_MISSING", False)


@pytest.mark.parametrize("url", ["nonsense://a", "file://relative"])
def test_an_address_of_no_known_kind_is_refused(url: str) -> None:
    with pytest.raises(AssetNameRefused, match="the address"):
        AssetStore(url)


async def test_faults_of_a_remote_store_have_their_classes() -> None:
    store = AssetStore("faulty://bucket")
    with pytest.raises(AssetStoreFull, match="is full; make room there") as caught:
        await store.put(b"data", cell="c", job_id="j", name="full", at_ms=AT_MS)
    assert caught.value.code == "NS_ASSET_STORE_FULL"
    with pytest.raises(AssetStoreUnavailable, match="Connection reset"):
        await store.put(b"data", cell="c", job_id="j", name="cut", at_ms=AT_MS)
    with pytest.raises(AssetDamaged):
        await store.put(b"data", cell="c", job_id="j", name="damaged", at_ms=AT_MS)
    assert FaultyFileSystem.store == {}


async def test_a_full_disk_keeps_nothing_and_takes_again_once_there_is_room(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        store = AssetStore(tmp_path / "assets")
        with pytest.raises(AssetStoreFull, match=r"the asset store at file://.* is full; make room") as caught:
            await store.put(b"x" * 2_000_000, **PLACE)
        assert caught.value.retryable is True
        assert files_in(tmp_path) == []
        assert (await store.put(b"x" * 100_000, **PLACE)).size_bytes == 100_000
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.parametrize(("first", "count"), [(0, 4), (3, 1), (2_500_000, 500_000), (0, 3_000_000)])
async def test_a_part_is_read_from_where_it_begins(store: AssetStore, first: int, count: int) -> None:
    content = os.urandom(3_000_000)
    ref = await store.put(content, **PLACE)
    assert (
        b"".join([piece async for piece in store.part(ref, first=first, count=count)]) == content[first : first + count]
    )


async def test_a_part_that_is_not_there_is_no_shorter_one(store: AssetStore) -> None:
    ref = await store.put(b"abc", **PLACE)
    with pytest.raises(AssetDamaged):
        _ = [piece async for piece in store.part(ref, first=1, count=5)]
    await store.remove(ref)
    with pytest.raises(AssetMissing):
        _ = [piece async for piece in store.part(ref, first=0, count=1)]
