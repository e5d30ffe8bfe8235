"""A history kept as JSON lines: bounded, a line there whole or not at all, whoever is interrupted and however many write.

Under a lock of its own a line is appended and brought to the disk; half a line that a crash left is taken away by who writes next, and not
read by who reads. Where the bound is passed, the latest lines are written anew beside the file and take its place.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from northstar.evaluation.validation.errors import ValidationHistoryUnreadable, ValidationHistoryUnwritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Line = TypeVar("Line")
#: As large as a history may be, bytes; at the bounds that are used here it has a tenth of that.
_MOST_BYTES: Final = 64_000_000


class LineHistory(Generic[Line]):
    """A file of lines of one kind; it and its folder come into being with the first line."""

    def __init__(self, path: Path, kind: type[Line], *, most: int) -> None:
        """`most` lines are kept: the latest."""
        self.path = path
        self._most = most
        self._decode = msgspec.json.Decoder(kind).decode

    def read(self) -> tuple[Line, ...]:
        """The lines, oldest first; none where there is no file. Raises ValidationHistoryUnreadable."""
        return tuple(self._decoded(number, line) for number, line in enumerate(self._lines(), start=1))

    def append(self, line: Line) -> None:
        """Add a line. Raises ValidationHistoryUnwritable; ValidationHistoryUnreadable: what is there is no such history."""
        encoded = msgspec.json.encode(line) + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._locked():
                kept = self._lines()
                if len(kept) >= self._most:
                    self._replace([*kept[len(kept) + 1 - self._most :], encoded])
                else:
                    self._add(sum(map(len, kept)), encoded)
        except OSError as exc:
            raise ValidationHistoryUnwritable(self.path, exc) from exc

    def _lines(self) -> list[bytes]:
        """Whole lines with their ends."""
        try:
            size = self.path.stat().st_size
            if size > _MOST_BYTES:
                raise ValidationHistoryUnreadable(
                    self.path, f"has {size} bytes, more than the {_MOST_BYTES} of a history"
                )
            lines = self.path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise ValidationHistoryUnreadable(self.path, f"cannot be read: {exc.strerror}") from exc
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()  # cut off while it was written
        return lines

    def _decoded(self, number: int, line: bytes) -> Line:
        try:
            return self._decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise ValidationHistoryUnreadable(
                self.path, f"is no line of this history ({exc}); take the line out, or name another folder", line=number
            ) from exc

    def _add(self, whole: int, encoded: bytes) -> None:
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.ftruncate(fd, whole)
            try:
                _write(fd, encoded, at=whole)
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, whole)  # the disk was full, perhaps
                raise
        finally:
            os.close(fd)

    def _replace(self, lines: list[bytes]) -> None:
        draft = self.path.with_name(f".{self.path.name}.part")
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            _write(fd, b"".join(lines), at=0)
            os.fsync(fd)
            draft.replace(self.path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else writes; the lock is a file of its own, since the history may be replaced."""
        fd = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _write(fd: int, data: bytes, *, at: int) -> None:
    os.lseek(fd, at, os.SEEK_SET)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
