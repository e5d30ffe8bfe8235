"""Assets in a folder of this machine.

It gives what fsspec's own local file system does not promise: a file is seen whole or not at all, and it survives a power cut
once `write` has returned.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from northstar.store.asset_errors import AssetNameRefused
from northstar.store.asset_places import MAX_LISTED, StoredFile, check_written

_DRAFT_END: Final = ".part"
#: A folder that a sweeper found empty may go in the moment in which a file is about to be written there.
_ATTEMPTS: Final = 3


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
        draft = path.with_name(f".{secrets.token_hex(8)}{_DRAFT_END}")
        try:
            with self._new_file(draft) as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            check_written(draft.open("rb"), url=f"{self.url}/{key}", sha256=sha256)
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

    def remove_all(self, keys: Sequence[str]) -> None:
        """One after the other."""
        for key in keys:
            with contextlib.suppress(FileNotFoundError):
                self.remove(key)

    def local_path(self, key: str) -> Path:
        """The file itself."""
        return self._inside(key)

    def folders(self, key: str) -> list[str]:
        """Folders that are no links."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._inside(key)) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        return []

    def files(self, key: str) -> list[StoredFile]:
        """Regular files that are no drafts."""
        found: list[StoredFile] = []
        for entry in self._entries(key):
            if _is_draft(entry.name) or len(found) == MAX_LISTED:
                continue
            with contextlib.suppress(FileNotFoundError):
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(facts.st_mode):
                    name = Path(entry.path).relative_to(self._root).as_posix()
                    found.append(StoredFile(name, facts.st_size, int(facts.st_mtime * 1000)))
        return found

    def drop_drafts(self, key: str, *, before_ms: int) -> int:
        """A process that is killed while it writes leaves its temporary file."""
        dropped = 0
        for entry in self._entries(key):
            if not _is_draft(entry.name):
                continue
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime * 1000 < before_ms:
                    self.remove(Path(entry.path).relative_to(self._root).as_posix())
                    dropped += 1
        return dropped

    def free_bytes(self) -> int:
        """As the disk says, for whoever is not its superuser."""
        return shutil.disk_usage(self._root).free

    def _entries(self, key: str) -> Iterator[os.DirEntry[str]]:
        """Everything below that is no folder, in no order; links are not followed."""
        ahead = [str(self._inside(key))]
        while ahead:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(ahead.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        ahead.append(entry.path)
                    else:
                        yield entry

    def _inside(self, key: str) -> Path:
        path = self._root / key
        if not path.parent.resolve().is_relative_to(self._root):  # a link in the store that points out of it
            raise AssetNameRefused(what="the path", name=key)
        return path

    def _new_file(self, path: Path) -> IO[bytes]:
        for _ in range(_ATTEMPTS - 1):
            with contextlib.suppress(FileNotFoundError):
                self._make_folders(path.parent)
                return path.open("xb")
        self._make_folders(path.parent)
        return path.open("xb")

    def _make_folders(self, folder: Path) -> None:
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for place in missing:
            _flush_folder(place.parent)


def _is_draft(name: str) -> bool:
    return name.startswith(".") and name.endswith(_DRAFT_END)


def _flush_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
