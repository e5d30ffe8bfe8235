"""Outputs of jobs, kept outside the queue: in a local folder by default, in an S3-compatible store in production.

An asset's address contains its job and a part of its hash: two attempts of one job never overwrite each other's results,
and putting the same bytes twice is the same as putting them once.
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
import re
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, TypeVar
from urllib.parse import quote, unquote

import msgspec

from northstar.domain.errors import NorthstarError
from northstar.store.asset_errors import (
    AssetDamaged,
    AssetMissing,
    AssetNameRefused,
    AssetStoreFull,
    AssetStoreUnavailable,
    AssetTooLarge,
)
from northstar.store.asset_places import CHUNK_BYTES, Digest, Place, chunks_of, place_at

ResultT = TypeVar("ResultT")

_PART: Final = re.compile(r"\w[\w.,@ ()+=-]*")
_MAX_PART_BYTES: Final = 200
_MAX_PARTS: Final = 8
_HASH_CHARS: Final = 16
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class AssetRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where an asset is and what it must be; small enough to travel through the queue."""

    url: str
    size_bytes: int
    sha256: str
    media_type: str


class AssetStore:
    """Keeps assets below one address. Every method may be used from many tasks at once."""

    def __init__(self, url: str | Path, *, max_asset_bytes: int = 8 * 1024**3) -> None:
        """`url` is a path, `file://…`, `s3://bucket/folder`, or another address that fsspec knows.

        Raises:
            AssetStoreExtraMissing: the package for that kind of address is not installed.
            AssetNameRefused: the address is of no known kind.
            AssetStoreUnavailable: the folder cannot be made.
        """
        self._max_asset_bytes = max_asset_bytes
        try:
            self._place: Place = place_at(url)
        except OSError as error:
            raise AssetStoreUnavailable(f"{url}: {error.strerror or error}") from error

    @property
    def url(self) -> str:
        """The address below which everything lies."""
        return self._place.url

    async def put(
        self,
        content: Path | bytes | IO[bytes],
        *,
        cell: str,
        job_id: str,
        name: str,
        media_type: str = "application/octet-stream",
    ) -> AssetRef:
        """Keep a file, an open one from its beginning, or bytes, verified by reading them back; seen by others whole or not at all.

        `name` may have folders (`frames/0001.png`). The caller says the media type; it is only passed on.

        Raises:
            AssetNameRefused: cell, job or name could leave the store.
            AssetTooLarge: more than `max_asset_bytes`.
            AssetMissing: `content` is no regular file.
            AssetStoreFull: no room.
            AssetDamaged: what was read back is not what was written.
            AssetStoreUnavailable: the store failed.
        """
        parts = _checked(cell, what="the cell"), _checked(job_id, what="the job id"), _checked_name(name)
        return await self._in_thread(lambda: self._put(content, parts=parts, media_type=media_type))

    async def get(self, ref: AssetRef, *, max_bytes: int = 64 * 1024 * 1024) -> bytes:
        """The asset's bytes, verified.

        Raises:
            AssetTooLarge: more than `max_bytes`; use `chunks`.
            AssetMissing: it is not there.
            AssetDamaged: the bytes are not those of `ref`.
        """
        if ref.size_bytes > max_bytes:
            raise AssetTooLarge(name=ref.url, limit_bytes=max_bytes)
        return b"".join([chunk async for chunk in self.chunks(ref)])

    async def chunks(self, ref: AssetRef) -> AsyncIterator[bytes]:
        """The asset's bytes in pieces of at most a megabyte; the last piece comes only if the whole is undamaged.

        Raises:
            AssetMissing: it is not there.
            AssetDamaged: the bytes are not those of `ref`; raised before the last piece.
        """
        key = self._key(ref.url)
        stream = await self._in_thread(lambda: self._place.open(key), url=ref.url)
        digest = Digest()
        held = b""
        try:
            while chunk := await self._in_thread(lambda: stream.read(CHUNK_BYTES)):
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

    async def expect(self, ref: AssetRef, *, cell: str, job_id: str) -> None:
        """Make sure that an asset which somebody names is this job's, and is there to be fetched.

        Raises:
            AssetNameRefused: it is not the job's, or lies outside the store.
            AssetMissing: it is not there.
            AssetDamaged: it is there with another size.
        """
        key = self._key(ref.url)
        if not key.startswith(f"{_checked(cell, what='the cell')}/{_checked(job_id, what='the job id')}/"):
            raise AssetNameRefused(what="the address", name=ref.url)
        size_bytes = await self._in_thread(lambda: _size_of(self._place.open(key)), url=ref.url)
        if size_bytes != ref.size_bytes:
            raise AssetDamaged(url=ref.url, expected_sha256=ref.sha256, found_sha256=f"of {size_bytes} bytes")

    async def remove(self, ref: AssetRef) -> None:
        """Remove the asset.

        Raises:
            AssetMissing: it is not there.
        """
        key = self._key(ref.url)
        await self._in_thread(lambda: self._place.remove(key), url=ref.url)

    def local_path(self, ref: AssetRef) -> Path | None:
        """The asset's file where the store is a folder of this machine, to be sent without copying; else None."""
        return self._place.local_path(self._key(ref.url))

    def _put(self, content: Path | bytes | IO[bytes], *, parts: tuple[str, str, str], media_type: str) -> AssetRef:
        cell, job_id, name = parts
        with _source(content, name=name) as stream:
            digest = Digest()
            for _ in digest.of(self._bounded(chunks_of(stream), name=name)):
                pass
            key = f"{cell}/{job_id}/{digest.sha256[:_HASH_CHARS]}/{name}"
            stream.seek(0)
            self._place.write(key, self._bounded(chunks_of(stream), name=name), sha256=digest.sha256)
        url = f"{self._place.url}/{quote(key)}"
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
        base = f"{self._place.url}/"
        if not url.startswith(base):
            raise AssetNameRefused(what="the address", name=url)
        return _checked_name(unquote(url[len(base) :]))

    async def _in_thread(self, work: Callable[[], ResultT], *, url: str | None = None) -> ResultT:
        try:
            return await asyncio.to_thread(work)
        except NorthstarError:
            raise
        except FileNotFoundError as error:
            raise AssetMissing(url=url or str(error.filename)) from error
        except OSError as error:
            if error.errno in _FULL:
                raise AssetStoreFull(place=self._place.url) from error
            raise AssetStoreUnavailable(str(error)) from error
        except Exception as error:  # each remote store brings a tree of errors of its own
            raise AssetStoreUnavailable(f"{type(error).__name__}: {error}") from error


def _size_of(stream: IO[bytes]) -> int:
    with stream:
        return stream.seek(0, os.SEEK_END)


def _checked(part: str, *, what: str) -> str:
    if _PART.fullmatch(part) is None or part.endswith((" ", ".")) or len(part.encode()) > _MAX_PART_BYTES:
        raise AssetNameRefused(what=what, name=part)
    return part


def _checked_name(name: str) -> str:
    parts = name.split("/")
    if len(parts) > _MAX_PARTS + 3:
        raise AssetNameRefused(what="the name", name=name)
    for part in parts:
        _checked(part, what="the name")
    return name


def _damaged(ref: AssetRef, digest: Digest) -> AssetDamaged:
    return AssetDamaged(url=ref.url, expected_sha256=ref.sha256, found_sha256=digest.sha256)


@contextmanager
def _source(content: Path | bytes | IO[bytes], *, name: str) -> Iterator[IO[bytes]]:
    if isinstance(content, bytes):
        yield io.BytesIO(content)
        return
    if not isinstance(content, Path):
        content.seek(0)
        yield content  # whoever opened it closes it
        return
    fd = os.open(content, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise AssetNameRefused(what="the source of", name=name)
        yield stream
