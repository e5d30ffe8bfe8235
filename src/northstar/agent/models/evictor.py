"""Carries out what policy decided: out of sight by one rename, then gone. What a kill leaves is swept at the next start."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from northstar.agent.models.inventory import ModelFile
from northstar.agent.models.journal import Journal
from northstar.agent.models.layout import Layout, ModelKey
from northstar.agent.models.partial import read_state, remove_partial

#: Unfinished files that nobody asked for again for so long are removed.
_KEEP_PARTIAL_S: Final = 7 * 86_400.0


class Evictor:
    """Removes models and leftovers. Every method blocks."""

    def __init__(self, layout: Layout, journal: Journal) -> None:
        self._layout = layout
        self._files = layout.files
        self._journal = journal

    def drop(self, model: ModelFile, *, is_kept: Callable[[ModelKey], bool]) -> bool:
        """Remove a model; False if somebody uses, fetches or evicts it, here or in another process, or it is another file by now.

        `is_kept` says whether this process wants it; asked under the lock, since that may have changed after the model was chosen.
        """
        fd = self._files.lock(self._layout.lock(model.key))
        if fd is None:
            return False
        try:
            if is_kept(model.key) or not model.is_unchanged():
                return False
            trash = self._layout.trash / secrets.token_hex(8)
            self._files.rename(model.path, trash)
            self._files.sync_folder(model.path.parent)
            self._files.sync_folder(self._layout.trash)
            self._journal.forget(model.place)
            self._files.unlink(trash)
        finally:
            os.close(fd)
        return True

    def sweep(self, *, present: Collection[str], now_s: float | None = None) -> None:
        """Remove what ended processes left: trash, unfinished files without a note or too old, and locks of no model.

        `present` are the ids of the models that are there.
        """
        for path in sorted(self._layout.trash.iterdir()):
            self._files.unlink(path)
        now_s = time.time() if now_s is None else now_s
        ids = {path.name.partition(".")[0] for path in self._layout.partial.iterdir()}
        for one in sorted(ids):
            self._sweep_partial(self._layout.partial / f"{one}.part", now_s=now_s)
        for path in sorted(self._layout.locks.iterdir()):
            if path.stem not in present and not (self._layout.partial / f"{path.stem}.part").exists():
                self._sweep_lock(path)

    def _sweep_partial(self, part: Path, *, now_s: float) -> None:
        fd = self._files.lock(self._layout.locks / f"{part.stem}.lock")
        if fd is None:
            return
        try:
            note = part.with_suffix(".json")
            is_of_use = part.exists() and read_state(note) is not None
            if not is_of_use or now_s - part.stat().st_mtime > _KEEP_PARTIAL_S:
                remove_partial(self._files, part)
        finally:
            os.close(fd)

    def _sweep_lock(self, path: Path) -> None:
        fd = self._files.lock(path)
        if fd is not None:
            try:
                self._files.unlink(path)
            finally:
                os.close(fd)
