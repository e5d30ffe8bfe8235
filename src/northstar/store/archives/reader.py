"""Reading an archive: first all of it, to see that it is whole; only then for what is in it."""

from __future__ import annotations

import errno
import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from northstar.domain.archives import FORMAT, ArchivePart, Manifest
from northstar.store.archives.errors import ArchiveDamaged, ArchiveUnreadable, ArchiveUnsupported
from northstar.store.archives.writer import MANIFEST
from northstar.store.copies.frames import STREAM_STATE, Frame, read_frames

CELL: Final = "cell.frames"
HISTORY: Final = "history.db"
#: The key from which the secrets of all webhooks follow.
WEBHOOK_KEY: Final = "webhooks.key"
CONFIGURATION: Final = "configuration/"
OUTPUTS: Final = "outputs/"

_CHUNK_BYTES: Final = 1024 * 1024
_MAX_MANIFEST_BYTES: Final = 512 * 1024 * 1024
#: What a name in the archive may be: parts that begin with a letter, digit or underscore, so that none leads out of a folder.
_NAME: Final = re.compile(r"\w[\w.,@ ()+=-]*(?:/\w[\w.,@ ()+=-]*){0,15}")
#: What a zip file raises whose bytes are not what was written; a FrameDamaged is a ValueError.
_FAULTS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    ValueError,
)


class _Form(msgspec.Struct):
    """What every manifest has, whatever its form."""

    format: int


class Archive:
    """An archive that is open for reading. Everything blocks."""

    def __init__(self, path: Path, file: zipfile.ZipFile, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._file = file
        self._parts = {part.name: part for part in manifest.parts}

    @property
    def names(self) -> list[str]:
        """The names of all parts, in order."""
        return list(self._parts)

    def verify(self) -> None:
        """Read every byte of every part, and see that it is what was written. Raises ArchiveDamaged."""
        with _explained(self.path):
            for part in self.manifest.parts:
                self._verify(part)
            if CELL not in self._parts:
                raise ArchiveDamaged(self.path, reason="there is no cell in it")
            self._verify_cell()

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a part, in pieces. Raises ArchiveDamaged."""
        with _explained(self.path), self._open(name) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk

    def frames(self) -> Iterator[Frame]:
        """The cell, a piece at a time. Raises ArchiveDamaged."""
        with _explained(self.path), self._open(CELL) as stream:
            yield from read_frames(stream)

    def _open(self, name: str) -> IO[bytes]:
        return self._file.open(name)

    def _verify(self, part: ArchivePart) -> None:
        digest, size_bytes = hashlib.sha256(), 0
        for chunk in self.chunks(part.name):
            size_bytes += len(chunk)
            if size_bytes > part.size_bytes:
                break
            digest.update(chunk)
        if size_bytes != part.size_bytes or digest.hexdigest() != part.sha256:
            raise ArchiveDamaged(self.path, reason=f"{part.name} is not what was written")

    def _verify_cell(self) -> None:
        found: dict[str, int] = {}
        for frame in self.frames():
            if frame.part != STREAM_STATE:
                found[frame.part] = found.get(frame.part, 0) + len(frame.items) // 2
        # The same entry of a hash may come twice, when its server was arranging it anew; fewer than there are never come.
        short = [part for part, wanted in self.manifest.cell.entries.items() if found.get(part, 0) < wanted]
        if short or found.keys() - self.manifest.cell.entries.keys():
            raise ArchiveDamaged(self.path, reason="the cell in it is not whole")


@contextmanager
def opened_archive(path: Path) -> Iterator[Archive]:
    """The archive at `path`, until the block ends; its manifest is read and understood, its parts are not looked at yet.

    Raises:
        ArchiveUnreadable: it cannot be read. ArchiveDamaged: it is no archive, or is not whole.
        ArchiveUnsupported: another version wrote it.
    """
    try:
        stream = path.open("rb")
    except OSError as exc:
        raise ArchiveUnreadable(path, reason=exc.strerror or str(exc)) from exc
    with stream:
        with _explained(path):
            file = zipfile.ZipFile(stream)
            manifest = _manifest_of(path, file)
        yield Archive(path, file, manifest)


def _manifest_of(path: Path, file: zipfile.ZipFile) -> Manifest:
    try:
        info = file.getinfo(MANIFEST)
    except KeyError as exc:
        raise ArchiveDamaged(path, reason="it has no manifest") from exc
    if info.file_size > _MAX_MANIFEST_BYTES:
        raise ArchiveDamaged(path, reason="its manifest is too large")
    text = file.read(info)
    try:
        form = msgspec.json.decode(text, type=_Form).format
        if form != FORMAT:
            raise ArchiveUnsupported(path, what="form", found=str(form), known=str(FORMAT))
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as exc:
        raise ArchiveDamaged(path, reason=f"its manifest cannot be read: {exc}") from exc
    names = [part.name for part in manifest.parts]
    if len(set(names)) != len(names) or not all(map(_is_name, names)) or {*names, MANIFEST} != set(file.namelist()):
        raise ArchiveDamaged(path, reason="what is in it is not what its manifest says")
    return manifest


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and (
        name in {CELL, HISTORY, WEBHOOK_KEY} or name.startswith((CONFIGURATION, OUTPUTS))
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except _FAULTS as exc:
        raise ArchiveDamaged(path, reason=str(exc) or type(exc).__name__) from exc
    except OSError as exc:
        if exc.errno == errno.EINVAL:  # it says of itself that something is where no file can have it
            raise ArchiveDamaged(path, reason="its places are wrong") from exc
        raise ArchiveUnreadable(path, reason=exc.strerror or str(exc)) from exc
