"""Every change to a disk that the model store makes goes through here, one small step at a time.

So a test can end the process before, after or in the middle of any of them. All of it blocks; call it from threads.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

import msgspec

_FOLDER_MODE: Final = 0o755
_FILE_MODE: Final = 0o644


class FileFacts(msgspec.Struct, frozen=True, array_like=True):
    """By what a file is known again without reading it."""

    size_bytes: int
    mtime_ns: int
    inode: int


class Files:
    """Steps on real files."""

    def step(self, what: str, path: Path) -> None:
        """Called before each step."""

    def make_folder(self, path: Path) -> None:
        """Make a folder and its parents; what was made is on the disk afterwards."""
        missing = [place for place in (path, *path.parents) if not place.exists()]
        for place in reversed(missing):
            self.step("mkdir", place)
            place.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            self.sync_folder(place.parent)

    def open_part(self, path: Path) -> int:
        """Open a file to write at its end, made if it is missing; never through a link."""
        self.step("open", path)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)

    def append(self, fd: int, data: bytes, path: Path) -> None:
        """Write all of it at the end."""
        self.step("write", path)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def truncate(self, fd: int, size_bytes: int, path: Path) -> None:
        """Cut a file."""
        self.step("truncate", path)
        os.ftruncate(fd, size_bytes)

    def sync(self, fd: int, path: Path) -> None:
        """Have the disk confirm a file's content."""
        self.step("fsync", path)
        os.fsync(fd)

    def sync_folder(self, path: Path) -> None:
        """Have the disk confirm a folder's entries."""
        self.step("fsync", path)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, path: Path, to: Path) -> None:
        """Give a file another name on the same file system."""
        self.step("rename", path)
        path.rename(to)

    def unlink(self, path: Path) -> None:
        """Remove a file; one that is gone already is no error."""
        self.step("unlink", path)
        path.unlink(missing_ok=True)

    def write_whole(self, path: Path, data: bytes) -> None:
        """Write a small file so that others see the old or the new one, never a part."""
        draft = path.with_name(f"{path.name}.draft")
        self.unlink(draft)
        fd = self.open_part(draft)
        try:
            self.append(fd, data, draft)
            self.sync(fd, draft)
        finally:
            os.close(fd)
        self.rename(draft, path)
        self.sync_folder(path.parent)

    def lock(self, path: Path, *, shared: bool = False) -> int | None:
        """A descriptor that holds the lock of this file until it is closed; None if another one has it.

        The kernel frees it when its process ends, however that ends.
        """
        self.step("lock", path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if _is_still(path, fd):
                return fd
        except BlockingIOError:
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None


def facts_of(path: Path) -> FileFacts | None:
    """Facts of a regular file; None if there is none. Links are followed."""
    with contextlib.suppress(OSError):
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            return FileFacts(found.st_size, found.st_mtime_ns, found.st_ino)
    return None


def read_small(path: Path, *, limit_bytes: int) -> bytes | None:
    """A small file's content; None if it is not there, or larger."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit_bytes + 1)
    except OSError:
        return None
    return data if len(data) <= limit_bytes else None


def _is_still(path: Path, fd: int) -> bool:
    """Whether the file that was locked still has its name; else somebody removed it in between."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_ino == os.fstat(fd).st_ino
    return False
