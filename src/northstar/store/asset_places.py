"""Two kinds of place for assets: a folder on this machine, and anything else that fsspec reaches.

A folder gets what fsspec's own local file system does not promise: a file is seen whole or not at all, and it
survives a power cut once `put` has returned. Everything here blocks; `AssetStore` calls it from threads.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import fsspec

from northstar.store.asset_errors import AssetDamaged, AssetNameRefused, AssetStoreExtraMissing

CHUNK_BYTES = 1024 * 1024
_EXTRAS = {"s3": "s3", "s3a": "s3"}


class Digest:
    """Size and SHA-256 of what passed by."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def of(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The same chunks, counted."""
        for chunk in chunks:
            self._hash.update(chunk)
            self.size_bytes += len(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        return self._hash.hexdigest()


class Place(Protocol):
    """Where assets lie. Keys are relative, of checked parts joined by `/`."""

    url: str

    def write(self, key: str, chunks: Iterator[bytes], *, sha256: str) -> None:
        """Keep the chunks under `key`, whole or not at all, and read them back.

        Raises:
            AssetDamaged: what was read back has another hash; nothing is kept.
        """
        ...

    def open(self, key: str) -> IO[bytes]:
        """The asset's bytes from the start."""
        ...

    def remove(self, key: str) -> None:
        """Remove the asset."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The file itself, where there is one on this machine."""
        ...


def chunks_of(stream: IO[bytes]) -> Iterator[bytes]:
    """A stream in bounded pieces."""
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


class LocalFolder:
    """A folder on this machine."""

    def __init__(self, root: Path) -> None:
        """Make the folder where it is missing."""
        root.mkdir(parents=True, exist_ok=True)
        self._root = root.resolve(strict=True)
        self.url = self._root.as_uri()

    def write(self, key: str, chunks: Iterator[bytes], *, sha256: str) -> None:
        """Write a temporary file, flush it to the disk, read it back, rename it, flush the folder."""
        path = self._inside(key)
        self._make_folders(path.parent)
        draft = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with draft.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            _check(draft.open("rb"), url=f"{self.url}/{key}", sha256=sha256)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)

    def open(self, key: str) -> IO[bytes]:
        """Open the file; never through a link."""
        return os.fdopen(os.open(self._inside(key), os.O_RDONLY | os.O_NOFOLLOW), "rb")

    def remove(self, key: str) -> None:
        """Remove the file, and the folders that it leaves empty."""
        path = self._inside(key)
        path.unlink()
        with contextlib.suppress(OSError):  # not empty
            for folder in list(path.parents)[: key.count("/")]:
                folder.rmdir()

    def local_path(self, key: str) -> Path | None:
        """The file itself."""
        return self._inside(key)

    def _inside(self, key: str) -> Path:
        path = self._root / key
        if not path.parent.resolve().is_relative_to(self._root):  # a link in the store that points out of it
            raise AssetNameRefused(what="the path", name=key)
        return path

    def _make_folders(self, folder: Path) -> None:
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for place in missing:
            _flush_folder(place.parent)


class RemoteFolder:
    """A folder of a bucket, or of whatever else fsspec reaches; such stores show an object only once it is whole."""

    def __init__(self, files: Any, *, root: str, url: str) -> None:
        self._files = files
        self._root = root.rstrip("/")
        self.url = url.rstrip("/")

    def write(self, key: str, chunks: Iterator[bytes], *, sha256: str) -> None:
        """Write, then read back; remove what is damaged."""
        place = f"{self._root}/{key}"
        try:
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
            with self._files.open(place, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
            _check(self._files.open(place, "rb"), url=f"{self.url}/{key}", sha256=sha256)
        except BaseException:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                self._files.rm_file(place)
            raise

    def open(self, key: str) -> IO[bytes]:
        """Open the object."""
        stream: IO[bytes] = self._files.open(f"{self._root}/{key}", "rb")
        return stream

    def remove(self, key: str) -> None:
        """Remove the object."""
        self._files.rm_file(f"{self._root}/{key}")

    def local_path(self, key: str) -> None:
        """There is none."""
        del key


def place_at(url: str | Path) -> Place:
    """The place that an address means: a path, `file://…`, or a scheme that fsspec knows.

    Raises:
        AssetStoreExtraMissing: the package for that scheme is not installed.
        AssetNameRefused: no such scheme, or a relative `file:` address.
    """
    text = str(url)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return LocalFolder(Path(text))
    if scheme in {"file", "local"}:
        if not rest.startswith("/"):
            raise AssetNameRefused(what="the address", name=text)
        return LocalFolder(Path(rest))
    try:
        files, root = fsspec.core.url_to_fs(text)
    except ImportError as error:
        raise AssetStoreExtraMissing(scheme=scheme, extra=_EXTRAS.get(scheme)) from error
    except ValueError as error:
        raise AssetNameRefused(what="the address", name=f"{scheme}://") from error
    return RemoteFolder(files, root=root, url=text)


def _check(stream: IO[bytes], *, url: str, sha256: str) -> None:
    digest = Digest()
    with stream:
        for _ in digest.of(chunks_of(stream)):
            pass
    if digest.sha256 != sha256:
        raise AssetDamaged(url=url, expected_sha256=sha256, found_sha256=digest.sha256)


def _flush_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
