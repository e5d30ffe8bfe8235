"""Whether an ordered model is here already, and how it comes if it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

from northstar.agent.models.changes import Changes, ModelChange
from northstar.agent.models.download import Bench, Download
from northstar.agent.models.errors import ModelNameTaken, ModelStoreUnavailable
from northstar.agent.models.line_rate import ASSUMED_BYTES_PER_S, learned
from northstar.agent.models.threads import to_its_end
from northstar.domain.errors import NorthstarError

if TYPE_CHECKING:
    from northstar.agent.models.flights import Flight
    from northstar.agent.models.inventory import ModelFile
    from northstar.agent.models.layout import ModelKey
    from northstar.agent.models.room import Room
    from northstar.agent.models.shelf import Shelf
    from northstar.agent.models.upkeep import Upkeep
    from northstar.domain.models import ModelOrder


class Supply:
    """Brings models onto the shelf."""

    def __init__(
        self, bench: Bench, shelf: Shelf, upkeep: Upkeep, *, room: Room, changes: Changes, parallel: int
    ) -> None:
        """`parallel` fetches run at a time; the others wait their turn."""
        self._bench = bench
        self._shelf = shelf
        self._upkeep = upkeep
        self._room = room
        self._changes = changes
        self._turn = asyncio.Semaphore(parallel)
        #: Measured, smoothed; 0 before the first fetch.
        self.bytes_per_s = 0.0

    async def present(self, key: ModelKey, order: ModelOrder, *, coming: Collection[ModelKey]) -> ModelFile | None:
        """The ordered model, if it is here; `coming` are those that are being fetched.

        Raises:
            ModelNameTaken: what is here under this name is another file.
            ModelStoreUnavailable: the disk or the journal fails.
        """
        file = self._shelf.get(key)
        if file is not None and not await to_its_end(file.is_unchanged):
            await self._upkeep.look()
            file = self._shelf.get(key)
        if file is None:
            if twin := self._shelf.twin(key, coming=coming):
                raise ModelNameTaken(order.name, found=f"{twin.name!r}, which some file systems take for the same,")
            return None
        expected = order.expected_sha256
        if file.known is None and expected is not None:
            file = await self._hashed(file)
        if expected not in {None, file.sha256}:
            raise ModelNameTaken(order.name, found=str(file.path))
        return file

    async def _hashed(self, file: ModelFile) -> ModelFile:
        try:
            hashed = await self._upkeep.hash_now(file)
        except OSError as error:
            raise ModelStoreUnavailable(str(error)) from error
        if hashed is None:
            raise ModelStoreUnavailable(f"{file.path} changes while it is read")
        return hashed

    async def fly(self, flight: Flight) -> ModelFile:
        """Fetch a model and put it on the shelf.

        Raises:
            NorthstarError: as `Download` does.
        """
        order = flight.order
        download = Download(order, self._bench, make_room=self._room.make, on_bytes=flight.on_bytes)
        async with self._turn:
            expected_ms = int(1_000 * order.size_bytes / (self.bytes_per_s or ASSUMED_BYTES_PER_S))
            self._tell(order, ModelChange(what="fetch_started", expected_ms=expected_ms, size_bytes=order.size_bytes))
            try:
                file = await download.run()
            except asyncio.CancelledError:
                if download.published is not None:
                    self._arrive(order, download.published)
                else:
                    self._tell(order, ModelChange(what="fetch_ended", outcome="canceled"))
                raise
            except NorthstarError as error:
                self._tell(order, ModelChange(what="fetch_ended", outcome="failed", code=error.code))
                raise
            self._measure(flight)
            self._arrive(order, file)
            return file

    def _arrive(self, order: ModelOrder, file: ModelFile) -> None:
        self._shelf.put(file)
        size_bytes = file.facts.size_bytes
        self._tell(order, ModelChange(what="fetch_ended", outcome="fetched", size_bytes=size_bytes))
        self._tell(order, ModelChange(what="came", size_bytes=size_bytes))

    def _measure(self, flight: Flight) -> None:
        progress = flight.progress
        self.bytes_per_s = learned(self.bytes_per_s, progress.bytes_per_s, size_bytes=progress.received_bytes)

    def _tell(self, order: ModelOrder, change: ModelChange) -> None:
        self._changes.tell(msgspec.structs.replace(change, name=order.name))
