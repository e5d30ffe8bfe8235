"""Two kinds of place for assets: a folder on this machine, and anything else that fsspec reaches. Everything here blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

import msgspec

from northstar.store.asset_errors import AssetDamaged

CHUNK_BYTES: Final = 1024 * 1024
#: Files that one look at a folder takes in at most.
MAX_LISTED: Final = 200_000


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


class StoredFile(msgspec.Struct, frozen=True):
    """A file of a place: when it was written (ms since epoch; 0 if the place does not say), and how large it is."""

    key: str
    size_bytes: int
    written_ms: int


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

    def remove_all(self, keys: Sequence[str]) -> None:
        """Remove these; what is gone already is no error."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The file itself, where there is one on this machine."""
        ...

    def folders(self, key: str) -> list[str]:
        """Names of the folders directly below `key`; none where it is not there."""
        ...

    def files(self, key: str) -> list[StoredFile]:
        """All whole files below `key`, at most `MAX_LISTED`; none where it is not there."""
        ...

    def drop_drafts(self, key: str, *, before_ms: int) -> int:
        """Remove what an upload that was cut off left below `key`, untouched since `before_ms`; gives how many."""
        ...

    def free_bytes(self) -> int | None:
        """What is free on the disk; None where nobody can tell."""
        ...


def chunks_of(stream: IO[bytes]) -> Iterator[bytes]:
    """A stream in bounded pieces."""
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def check_written(stream: IO[bytes], *, url: str, sha256: str) -> None:
    """Read back what was written. Raises AssetDamaged."""
    digest = Digest()
    with stream:
        for _ in digest.of(chunks_of(stream)):
            pass
    if digest.sha256 != sha256:
        raise AssetDamaged(url=url, expected_sha256=sha256, found_sha256=digest.sha256)
