"""Room on the disk: set aside before the first byte comes, counted for every process that shares the folder.

The ledger is the notes of the unfinished files. A note counts while a process holds the lock of its model; when that
process ends, however it ends, the kernel frees the lock and with it what was set aside.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.agent.models.errors import ModelStoreFull, ModelStoreUnavailable
from northstar.agent.models.partial import read_state, remove_partial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.agent.models.layout import Layout

_LEDGER_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.01


class SpaceRule(msgspec.Struct, frozen=True, kw_only=True):
    """What the models folder may hold."""

    #: Bytes of everything below the root; 0: whatever the disk holds.
    limit_bytes: int = 0
    #: Bytes of the disk that stay free.
    keep_free_bytes: int = 0


#: Makes room: gets the bytes that are lacking, gives the reasons why there is no more.
MakeRoom = Callable[[int], str]


class Space:
    """The room of one models folder. Every method blocks."""

    def __init__(
        self,
        layout: Layout,
        rule: SpaceRule,
        *,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        self._layout = layout
        self._rule = rule
        self._free_bytes = free_bytes
        self._cap_bytes = 0

    def cap(self, most_bytes: int) -> None:
        """Hold no more than this, whatever the rule allows; 0: the rule alone counts. What is there already stays until room is needed."""
        self._cap_bytes = most_bytes

    @property
    def limit_bytes(self) -> int:
        """What everything below the root may take; 0: whatever the disk holds."""
        return min(filter(None, (self._rule.limit_bytes, self._cap_bytes)), default=0)

    @property
    def disk_bytes(self) -> int:
        """What the rule lets models have of the disk, all of it without a limit."""
        return min(filter(None, (self._rule.limit_bytes, shutil.disk_usage(self._layout.root).total)))

    def admit(
        self, part: Path, *, model: str, needed_bytes: int, write_note: Callable[[], None], make_room: MakeRoom
    ) -> None:
        """Set bytes aside for what `part` still lacks: find or make the room, then write the note.

        Raises:
            ModelStoreFull: there is not enough, and dropping what may go would not help; nothing was dropped.
            ModelStoreUnavailable: another process has held the ledger for a minute.
        """
        with self._ledger():
            reasons = ""
            if (lacking := self._lacking(needed_bytes, but=part)) > 0:
                self._sweep(but=part)
                lacking = self._lacking(needed_bytes, but=part)
            if lacking > 0:
                reasons = make_room(lacking)
                lacking = self._lacking(needed_bytes, but=part)
            if lacking > 0:
                raise ModelStoreFull(model, lacking_bytes=lacking, reason=reasons or "nothing may be dropped")
            write_note()

    def used_bytes(self) -> int:
        """Bytes of all files below the root."""
        return _folder_bytes(self._layout.root)

    def reserved_bytes(self, *, but: Path | None = None) -> int:
        """Bytes that living fetches are still going to write."""
        total = 0
        for note in _notes(self._layout):
            part = note.with_suffix(".part")
            if part != but and (state := read_state(note)) and self._is_live(note):
                total += max(0, state.reserved_bytes - _size(part))
        return total

    def _lacking(self, needed_bytes: int, *, but: Path) -> int:
        wanted = needed_bytes + self.reserved_bytes(but=but)
        lacking = wanted + self._rule.keep_free_bytes - self._free_bytes(self._layout.root)
        if limit_bytes := self.limit_bytes:
            lacking = max(lacking, wanted + self.used_bytes() - limit_bytes)
        return lacking

    def _is_live(self, note: Path) -> bool:
        """Whether somebody fetches it: only an exclusive lock keeps a shared one out."""
        fd = self._layout.files.lock(self._layout.locks / f"{note.stem}.lock", shared=True)
        if fd is None:
            return True
        os.close(fd)
        return False

    def _sweep(self, *, but: Path) -> None:
        """Remove unfinished files that nobody works on: they are the cheapest to lose."""
        for note in _notes(self._layout):
            part = note.with_suffix(".part")
            if part == but:
                continue
            fd = self._layout.files.lock(self._layout.locks / f"{note.stem}.lock")
            if fd is not None:
                try:
                    remove_partial(self._layout.files, part)
                finally:
                    os.close(fd)

    @contextmanager
    def _ledger(self) -> Iterator[None]:
        path = self._layout.private / "space.lock"
        deadline = time.monotonic() + _LEDGER_WITHIN_S
        while (fd := self._layout.files.lock(path)) is None:
            if time.monotonic() > deadline:
                raise ModelStoreUnavailable(f"another process has held {path} for {_LEDGER_WITHIN_S:g} s")
            time.sleep(_LOOK_EVERY_S)
        try:
            yield
        finally:
            os.close(fd)


def _notes(layout: Layout) -> Sequence[Path]:
    return sorted(layout.partial.glob("*.json"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _folder_bytes(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118 -- a Path for each file takes most of the time
            except FileNotFoundError:
                continue
    return total
