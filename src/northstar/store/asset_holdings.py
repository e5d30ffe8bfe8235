"""What an asset store holds for one cell, hour by hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.jobs import JobId
from northstar.store.asset_names import HOUR_MS, begin_ms, read_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.store.asset_notes import Note
    from northstar.store.asset_places import StoredFile
    from northstar.store.assets import AssetStore


class HeldOutputs(msgspec.Struct, frozen=True, kw_only=True):
    """The files that one job left within one hour. `written_ms`: the latest of them, ms since epoch."""

    job: str
    keys: tuple[str, ...]
    size_bytes: int
    written_ms: int


class Holdings:
    """A cell's part of an asset store. Every method raises the store's errors."""

    def __init__(self, store: AssetStore, *, cell: str) -> None:
        self._store = store
        self._cell = cell

    @property
    def url(self) -> str:
        """The store's address."""
        return self._store.url

    async def hours(self) -> list[str]:
        """Hours of which there is something, the oldest first. What has another name than an hour is left alone."""
        names = await self._store.in_thread(lambda: self._store.place.folders(self._cell))
        return sorted(name for name in names if begin_ms(name) is not None)

    async def of_hour(self, hour: str) -> list[HeldOutputs]:
        """What is there of an hour, by job."""
        files = await self._store.in_thread(lambda: self._store.place.files(f"{self._cell}/{hour}"))
        return _by_job(files, began_ms=begin_ms(hour) or 0)

    async def remove(self, outputs: Sequence[HeldOutputs]) -> None:
        """Remove the files; those that are gone already are no error."""
        keys = [key for one in outputs for key in one.keys]
        await self._store.in_thread(lambda: self._store.place.remove_all(keys))

    async def drop_drafts(self, hour: str, *, before_ms: int) -> int:
        """Remove what uploads of that hour left half done, untouched since `before_ms`; gives how many."""
        key = f"{self._cell}/{hour}"
        return await self._store.in_thread(lambda: self._store.place.drop_drafts(key, before_ms=before_ms))

    async def note(self) -> Note:
        """How it stands, as it was last written down."""
        return await self._store.in_thread(lambda: self._store.notes.of(self._cell, fresh=True))

    async def write_note(self, note: Note) -> None:
        """Write down how it stands."""
        await self._store.in_thread(lambda: self._store.notes.write(self._cell, note))


def _is_job(name: str) -> bool:
    """Whether a job can have this name; what somebody else put there is left alone."""
    try:
        msgspec.convert(name, JobId)
    except msgspec.ValidationError:
        return False
    return True


def _by_job(files: Iterable[StoredFile], *, began_ms: int) -> list[HeldOutputs]:
    """The hour is the cell's, the time of a file that of its disk or bucket, whose clock may be wrong: no file is older than its hour."""
    jobs: dict[str, list[StoredFile]] = {}
    for file in files:
        named = read_key(file.key)
        if named is not None and _is_job(named.job):
            jobs.setdefault(named.job, []).append(file)
    return [
        HeldOutputs(
            job=job,
            keys=tuple(file.key for file in some),
            size_bytes=sum(file.size_bytes for file in some),
            written_ms=max(began_ms, *(file.written_ms or began_ms + HOUR_MS for file in some)),
        )
        for job, some in jobs.items()
    ]
