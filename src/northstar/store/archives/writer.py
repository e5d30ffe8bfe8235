"""Writing an archive: a zip file that only its owner may read, which appears once it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from northstar.domain.archives import ArchivePart, Manifest
from northstar.store.archives.errors import ArchiveExists, ArchiveUnwritable

MANIFEST: Final = "manifest.json"
_CHUNK_BYTES: Final = 1024 * 1024


class PartWriter:
    """Takes the bytes of one part and notes what they are."""

    def __init__(self, path: Path, name: str, file: IO[bytes]) -> None:
        self._path = path
        self._name = name
        self._file = file
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def write(self, chunk: bytes) -> None:
        """Add bytes. Raises ArchiveUnwritable."""
        with _explained(self._path):
            self._file.write(chunk)
        self._hash.update(chunk)
        self._size_bytes += len(chunk)

    def done(self) -> ArchivePart:
        """What was written."""
        return ArchivePart(name=self._name, size_bytes=self._size_bytes, sha256=self._hash.hexdigest())


class ArchiveWriter:
    """An archive that is being written. Everything blocks."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self.parts: list[ArchivePart] = []
        self._archive = archive

    @contextmanager
    def part(self, name: str, *, packed: bool = True) -> Iterator[PartWriter]:
        """A part, to be written until the block ends; `packed` unless its bytes are dense already. Raises ArchiveUnwritable."""
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        entry.external_attr = 0o600 << 16
        with _explained(self.path):
            file = self._archive.open(entry, "w", force_zip64=True)
        writer = PartWriter(self.path, name, file)
        try:
            yield writer
        except BaseException:
            with contextlib.suppress(OSError):
                file.close()
            raise
        with _explained(self.path):
            file.close()
        self.parts.append(writer.done())

    def add_file(self, name: str, source: Path, *, packed: bool = True) -> None:
        """A part of what a file holds. Raises ArchiveUnwritable, and OSError where the file cannot be read."""
        with source.open("rb") as stream, self.part(name, packed=packed) as part:
            while chunk := stream.read(_CHUNK_BYTES):
                part.write(chunk)

    def end(self, manifest: Manifest) -> None:
        """Write what the archive says of itself, as the last of it. Raises ArchiveUnwritable."""
        with _explained(self.path):
            self._archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))


@contextmanager
def new_archive(path: Path) -> Iterator[ArchiveWriter]:
    """An archive at `path`, which is there when the block ends well; else nothing is left of it.

    Raises:
        ArchiveExists: something is there. ArchiveUnwritable: it cannot be written.
    """
    if path.exists():
        raise ArchiveExists(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with _explained(path):
            file = os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")
        with file:
            archive = zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=3)
            try:
                yield ArchiveWriter(path, archive)
            except BaseException:
                _abandon(archive)
                raise
            with _explained(path):
                archive.close()
                file.flush()
                os.fsync(file.fileno())
        _appear(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _appear(draft: Path, path: Path) -> None:
    """Give it its name, unless somebody else has taken it meanwhile."""
    with _explained(path):
        try:
            os.link(draft, path)
        except FileExistsError as exc:
            raise ArchiveExists(path) from exc
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _abandon(archive: zipfile.ZipFile) -> None:
    """Close it without caring what becomes of it: on a full disk its end cannot be written either."""
    with contextlib.suppress(OSError, ValueError):
        archive.close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ArchiveUnwritable(path, reason=exc.strerror or str(exc)) from exc
