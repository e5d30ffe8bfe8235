"""Outputs of jobs, kept outside the queue: in a local folder by default, in an S3-compatible store in production.

An asset's address contains its hour, its job and a hash of its content and type: the old can be found without looking at the young, two
attempts of one job never overwrite each other's results, and putting the same bytes twice within an hour is the same as putting them once.
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, TypeVar
from urllib.parse import quote, unquote

import msgspec

from northstar.domain.amounts import exactly
from northstar.domain.errors import NorthstarError
from northstar.store.asset_bucket import place_at
from northstar.store.asset_errors import (
    AssetDamaged,
    AssetElsewhere,
    AssetMisnamed,
    AssetMissing,
    AssetNameRefused,
    AssetRetired,
    AssetStoreFull,
    AssetStoreUnavailable,
    AssetTooLarge,
)
from northstar.store.asset_names import checked, checked_key, checked_name, key_of, mark_of, read_key
from northstar.store.asset_notes import Notes
from northstar.store.asset_places import CHUNK_BYTES, Digest, Place, chunks_of

ResultT = TypeVar("ResultT")

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class AssetRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where an asset is and what it must be; small enough to travel through the queue."""

    url: str
    size_bytes: int
    sha256: str
    media_type: str


class AssetStore:
    """Keeps assets below one address. Every method may be used from many tasks at once."""

    def __init__(self, url: str | Path, *, max_asset_bytes: int = 8 * 1024**3, keep_free_bytes: int = 0) -> None:
        """`url` is a path, `file://…`, `s3://bucket/folder`, or another address that fsspec knows.

        On a disk of this machine, `keep_free_bytes` stay free.

        Raises:
            AssetStoreExtraMissing: the package for that kind of address is not installed.
            AssetNameRefused: the address is of no known kind.
            AssetStoreUnavailable: the folder cannot be made.
        """
        self._max_asset_bytes = max_asset_bytes
        self._keep_free_bytes = keep_free_bytes
        try:
            self.place: Place = place_at(url)
        except OSError as error:
            raise AssetStoreUnavailable(f"{url}: {error.strerror or error}") from error
        self.notes = Notes(self.place)

    @property
    def url(self) -> str:
        """The address below which everything lies."""
        return self.place.url

    async def put(
        self,
        content: Path | bytes,
        *,
        cell: str,
        job_id: str,
        name: str,
        at_ms: int,
        media_type: str = "application/octet-stream",
    ) -> AssetRef:
        """Keep a file or bytes, verified by reading them back; seen by others whole or not at all.

        `name` may have folders (`frames/0001.png`). `at_ms` is the present time in ms since epoch, by the cell's clock where the
        caller knows it. The caller says the media type; it is only passed on.

        Raises:
            AssetNameRefused: cell, job or name could leave the store.
            AssetTooLarge: more than `max_asset_bytes`.
            AssetMissing: `content` is no regular file.
            AssetStoreFull: no room, or none that may be used.
            AssetDamaged: what was read back is not what was written.
            AssetStoreUnavailable: the store failed.
        """
        parts = checked(cell, what="the cell"), checked(job_id, what="the job id"), checked_name(name)
        return await self.in_thread(lambda: self._put(content, parts=parts, media_type=media_type, at_ms=at_ms))

    async def expect_room(self, *, cell: str, size_bytes: int = 0) -> None:
        """Make sure that a file of so many bytes would be taken at present.

        Raises:
            AssetStoreFull: the cell's outputs are at their limit and none may go, or the disk is nearly full.
        """
        await self.in_thread(lambda: self._expect_room(checked(cell, what="the cell"), size_bytes))

    async def get(self, ref: AssetRef, *, max_bytes: int = 64 * 1024 * 1024) -> bytes:
        """The asset's bytes, verified.

        Raises:
            AssetTooLarge: more than `max_bytes`; use `chunks`.
            AssetMissing: it is not there. AssetRetired: it was, and its time is over.
            AssetDamaged: the bytes are not those of `ref`.
        """
        if ref.size_bytes > max_bytes:
            raise AssetTooLarge(name=ref.url, limit_bytes=max_bytes)
        return b"".join([chunk async for chunk in self.chunks(ref)])

    async def chunks(self, ref: AssetRef) -> AsyncIterator[bytes]:
        """The asset's bytes in pieces of at most a megabyte; the last piece comes only if the whole is undamaged.

        Raises:
            AssetMissing: it is not there. AssetRetired: it was, and its time is over.
            AssetDamaged: the bytes are not those of `ref`; raised before the last piece.
        """
        key = self._key(ref.url)
        stream = await self.in_thread(lambda: self.place.open(key), url=ref.url)
        digest = Digest()
        held = b""
        try:
            while chunk := await self.in_thread(lambda: stream.read(CHUNK_BYTES)):
                for seen in digest.of(iter((chunk,))):
                    if digest.size_bytes > ref.size_bytes:
                        raise _damaged(ref, digest)
                    if held:
                        yield held
                    held = seen
            if digest.sha256 != ref.sha256:
                raise _damaged(ref, digest)
            yield held
        finally:
            stream.close()

    async def part(self, ref: AssetRef, *, first: int, count: int) -> AsyncIterator[bytes]:
        """`count` bytes from the one numbered `first`, in pieces of at most a megabyte. Only the whole can be compared with its hash.

        Raises:
            AssetMissing: it is not there. AssetRetired: it was, and its time is over.
            AssetDamaged: it ends before so many bytes.
        """
        key = self._key(ref.url)
        stream = await self.in_thread(lambda: self.place.open(key), url=ref.url)
        try:
            await self.in_thread(lambda: stream.seek(first))
            while count > 0:
                piece = min(count, CHUNK_BYTES)
                chunk = await self.in_thread(lambda piece=piece: stream.read(piece))  # type: ignore[misc]
                if not chunk:
                    raise AssetDamaged(url=ref.url, expected_sha256=ref.sha256, found_sha256="cut off")
                yield chunk
                count -= len(chunk)
        finally:
            stream.close()

    async def expect(self, ref: AssetRef, *, cell: str, job_id: str) -> None:
        """Make sure that an asset which somebody names is this job's, is there to be fetched, and is what they say.

        Whoever received it has put its hash and type into its address; so no other process has to read it again.

        Raises:
            AssetNameRefused: it is not the job's. AssetElsewhere: it lies outside the store.
            AssetMissing: it is not there.
            AssetMisnamed: it is there with another hash, type or size.
        """
        key = self._key(ref.url)
        named = read_key(key)
        if named is None or named.cell != cell or named.job != job_id:
            raise AssetNameRefused(what="the address", name=ref.url)
        if named.mark != mark_of(sha256=ref.sha256, media_type=ref.media_type):
            raise AssetMisnamed(url=ref.url, what="hash or type")
        size_bytes = await self.in_thread(lambda: _size_of(self.place.open(key)), url=ref.url)
        if size_bytes != ref.size_bytes:
            raise AssetMisnamed(url=ref.url, what=f"size ({exactly(size_bytes)})")

    async def remove(self, ref: AssetRef) -> None:
        """Remove the asset.

        Raises:
            AssetMissing: it is not there.
        """
        key = self._key(ref.url)
        await self.in_thread(lambda: self.place.remove(key), url=ref.url)

    def local_path(self, ref: AssetRef) -> Path | None:
        """The asset's file where the store is a folder of this machine, to be sent without copying; else None."""
        return self.place.local_path(self._key(ref.url))

    def _expect_room(self, cell: str, size_bytes: int) -> None:
        free_bytes = self.place.free_bytes()
        if free_bytes is not None and free_bytes - size_bytes < self._keep_free_bytes:
            raise AssetStoreFull(place=self.place.url)
        if self.notes.of(cell).is_full:
            raise AssetStoreFull(place=self.place.url)

    def _put(self, content: Path | bytes, *, parts: tuple[str, str, str], media_type: str, at_ms: int) -> AssetRef:
        cell, job_id, name = parts
        with _source(content, name=name) as stream:
            digest = Digest()
            for _ in digest.of(self._bounded(chunks_of(stream), name=name)):
                pass
            self._expect_room(cell, digest.size_bytes)
            key = key_of(cell=cell, job=job_id, name=name, sha256=digest.sha256, media_type=media_type, at_ms=at_ms)
            stream.seek(0)
            self.place.write(key, self._bounded(chunks_of(stream), name=name), sha256=digest.sha256)
        url = f"{self.place.url}/{quote(key)}"
        return AssetRef(url=url, size_bytes=digest.size_bytes, sha256=digest.sha256, media_type=media_type)

    def _bounded(self, chunks: Iterator[bytes], *, name: str) -> Iterator[bytes]:
        size_bytes = 0
        for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > self._max_asset_bytes:
                raise AssetTooLarge(name=name, limit_bytes=self._max_asset_bytes)
            yield chunk

    def _key(self, url: str) -> str:
        """The part of an address below the store; every part of it as strict as when it was written."""
        base = f"{self.place.url}/"
        if not url.startswith(base):
            raise AssetElsewhere(url=url, store=self.place.url)
        return checked_key(unquote(url[len(base) :]))

    async def in_thread(self, work: Callable[[], ResultT], *, url: str | None = None) -> ResultT:
        """Do what blocks; whatever it raises becomes one of the store's errors."""
        try:
            return await asyncio.to_thread(work)
        except NorthstarError:
            raise
        except FileNotFoundError as error:
            if url is not None and await asyncio.to_thread(self._is_retired, url):
                raise AssetRetired(url=url) from error
            raise AssetMissing(url=url or str(error.filename)) from error
        except OSError as error:
            if error.errno in _FULL:
                raise AssetStoreFull(place=self.place.url) from error
            raise AssetStoreUnavailable(str(error)) from error
        except Exception as error:  # each remote store brings a tree of errors of its own
            raise AssetStoreUnavailable(f"{type(error).__name__}: {error}") from error

    def _is_retired(self, url: str) -> bool:
        named = read_key(self._key(url))
        if named is None:
            return False
        try:
            return named.hour <= self.notes.of(named.cell, fresh=True).retired_until
        except Exception:  # noqa: BLE001 -- whatever a remote store raises: that the asset is not there is what matters
            return False


def _size_of(stream: IO[bytes]) -> int:
    with stream:
        return stream.seek(0, os.SEEK_END)


def _damaged(ref: AssetRef, digest: Digest) -> AssetDamaged:
    return AssetDamaged(url=ref.url, expected_sha256=ref.sha256, found_sha256=digest.sha256)


@contextmanager
def _source(content: Path | bytes, *, name: str) -> Iterator[IO[bytes]]:
    if isinstance(content, bytes):
        yield io.BytesIO(content)
        return
    fd = os.open(content, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise AssetNameRefused(what="the source of", name=name)
        yield stream
