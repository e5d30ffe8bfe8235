"""From an order to a whole, verified file under its name; everything that one fetch does between lock and rename."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import time
from collections.abc import Callable
from typing import Final

import msgspec

from northstar.agent.models.attempts import Attempts
from northstar.agent.models.errors import ModelFormatRefused, ModelNameTaken, ModelStoreFull, ModelStoreUnavailable
from northstar.agent.models.fetch_errors import ModelMalformed
from northstar.agent.models.files import FileFacts, facts_of
from northstar.agent.models.hashing import hash_of
from northstar.agent.models.inventory import ModelFile
from northstar.agent.models.journal import Journal, Known
from northstar.agent.models.layout import Layout, ModelKey, key_of
from northstar.agent.models.pace import Clock, Pace, Sleep
from northstar.agent.models.partial import Partial
from northstar.agent.models.sources.choice import Sources
from northstar.agent.models.sources.contract import Source
from northstar.agent.models.space import MakeRoom, Space
from northstar.agent.models.threads import to_its_end
from northstar.agent.models.transfer import Bounds, OnBytes, Transfer
from northstar.agent.models.verify import IsPickle, check_format
from northstar.domain.errors import NorthstarError
from northstar.domain.models import ModelOrder
from northstar.policy.models.names import PICKLES, suffix_of

_LOOK_EVERY_S: Final = 0.1
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What every download of a store works with."""

    layout: Layout
    journal: Journal
    space: Space
    sources: Sources
    pace: Pace
    bounds: Bounds
    allow_pickle: bool
    rng: random.Random
    clock: Clock = time.monotonic
    now: Clock = time.time
    sleep: Sleep = asyncio.sleep


class Download:
    """One fetch of one order. `run` may be cancelled at any time; what came is kept."""

    def __init__(self, order: ModelOrder, bench: Bench, *, make_room: MakeRoom, on_bytes: OnBytes) -> None:
        """Check the order. `make_room` is called in a thread, `on_bytes` in the loop.

        Raises:
            ModelNameRefused: its name could leave the folder.
            ModelSourceRefused: a source is of no known form.
            ModelFormatRefused: its ending names a pickle, and those are not allowed.
        """
        self.key: ModelKey = key_of(order)
        #: Set once the file can be seen, which a cancellation may come too late to prevent.
        self.published: ModelFile | None = None
        self._order = order
        self._bench = bench
        self._make_room = make_room
        self._on_bytes = on_bytes
        self._target = bench.layout.target(order)
        if suffix_of(order.name) in PICKLES and not bench.allow_pickle:
            raise ModelFormatRefused(order.name)
        self._sources = [
            bench.sources.at(source, model=order.name, from_job=order.from_job) for source in order.sources
        ]

    async def run(self) -> ModelFile:
        """Fetch, verify and publish; a file that another process has put there meanwhile is verified instead.

        Raises:
            NorthstarError: as the case is; of several sources, the last one's.
        """
        try:
            fd = await self._lock()
            try:
                if found := await to_its_end(lambda: facts_of(self._target)):
                    return await self._adopt(found)
                return await self._fetch()
            finally:
                os.close(fd)
        except OSError as error:
            raise _fault(self._order.name, error) from error

    async def _lock(self) -> int:
        """Wait for a process that fetches or evicts the same model, but not longer than fetching it may take."""
        bench = self._bench
        longest_s = bench.bounds.patience.longest_s(self._order.size_bytes or bench.bounds.largest_bytes)
        deadline_s = bench.clock() + longest_s
        path = bench.layout.lock(self.key)
        while (fd := await to_its_end(lambda: bench.layout.files.lock(path))) is None:
            if bench.clock() > deadline_s:
                raise ModelStoreUnavailable(f"another process has held {path} for {longest_s:g} s")
            await bench.sleep(_LOOK_EVERY_S)
        return fd

    async def _fetch(self) -> ModelFile:
        bench, expected = self._bench, self._order.expected_sha256
        began_s = bench.clock()
        partial = await to_its_end(lambda: Partial(bench.layout, self.key, expected_sha256=expected))
        try:
            attempts = Attempts(
                partial,
                self._transfer(partial).run,
                patience=bench.bounds.patience,
                sleep=bench.sleep,
                jitter=bench.rng.random,
            )
            source = await attempts.run(self._sources, model=self._order.name)
            await to_its_end(lambda: self._verify(partial, source))
            return await to_its_end(lambda: self._publish(partial, bench.clock() - began_s))
        except (NorthstarError, asyncio.CancelledError):
            await to_its_end(partial.pause)
            raise
        finally:
            partial.close()

    def _transfer(self, partial: Partial) -> Transfer:
        space, name = self._bench.space, self._order.name

        def admit(needed_bytes: int, write_note: Callable[[], None]) -> None:
            space.admit(
                partial.path, model=name, needed_bytes=needed_bytes, write_note=write_note, make_room=self._make_room
            )

        return Transfer(
            self._order,
            partial,
            bounds=self._bench.bounds,
            admit=admit,
            pace=self._bench.pace,
            on_bytes=self._on_bytes,
            clock=self._bench.clock,
        )

    def _verify(self, partial: Partial, source: Source) -> None:
        partial.finish()
        try:
            check_format(partial.path, name=self._order.name, allow_pickle=self._bench.allow_pickle)
        except IsPickle:
            partial.restart()
            raise ModelFormatRefused(self._order.name) from None
        except ValueError as error:
            partial.restart()
            raise ModelMalformed(str(error), model=self._order.name, source=source.shown) from None

    def _publish(self, partial: Partial, fetch_s: float) -> ModelFile:
        """Remember what the file is, then let it be seen: in this order nobody sees a file that is not known."""
        layout, files = self._bench.layout, self._bench.layout.files
        files.make_folder(self._target.parent)
        layout.target(self._order)  # once more, now that the folder is there
        facts = facts_of(partial.path)
        if facts is None:
            raise ModelStoreUnavailable(f"{partial.path} was removed by somebody else")
        if os.path.lexists(self._target):
            raise ModelNameTaken(self._order.name, found=str(self._target))
        known = Known(sha256=partial.sha256, fetched=True, fetch_s=fetch_s, used_at_s=self._bench.now())
        self._bench.journal.remember(layout.place(self._target), facts, known)
        files.rename(partial.path, self._target)
        self.published = self._model(facts, known)
        files.sync_folder(self._target.parent)
        files.sync_folder(layout.partial)
        partial.remove()
        return self.published

    async def _adopt(self, facts: FileFacts) -> ModelFile:
        """Take a file that is there for the ordered one, if it is that."""
        place = self._bench.layout.place(self._target)
        known = await to_its_end(lambda: self._bench.journal.known(place, facts))
        if known is None:
            sha256 = await hash_of(self._target, facts)
            if sha256 is None:
                raise ModelStoreUnavailable(f"{self._target} changes while it is read")
            known = Known(sha256=sha256, used_at_s=self._bench.now())
        if self._order.expected_sha256 not in {None, known.sha256}:
            raise ModelNameTaken(self._order.name, found=str(self._target))
        try:
            await to_its_end(
                lambda: check_format(self._target, name=self._order.name, allow_pickle=self._bench.allow_pickle)
            )
        except IsPickle:
            raise ModelFormatRefused(self._order.name) from None
        except ValueError:
            raise ModelNameTaken(self._order.name, found=str(self._target)) from None
        found = known
        await to_its_end(lambda: self._bench.journal.remember(place, facts, found))
        return self._model(facts, known)

    def _model(self, facts: FileFacts, known: Known) -> ModelFile:
        place = self._bench.layout.place(self._target)
        return ModelFile(key=self.key, path=self._target, place=place, facts=facts, is_ours_to_change=True, known=known)


def _fault(model: str, error: OSError) -> NorthstarError:
    if error.errno in _FULL:
        return ModelStoreFull(model, lacking_bytes=1, reason=f"the disk says: {error.strerror}")
    return ModelStoreUnavailable(str(error))
