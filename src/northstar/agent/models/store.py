"""The models of a machine: `async with ModelStore(…) as store`, and then what is there, what is needed, what may go.

The agent owns one of these. It announces `held()` and `fetching()` again whenever `changes()` says that something is
different; brings what a job lacks with `using(orders)`; and carries out the broker's orders with `fetch` and `evict`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, Self

from northstar.agent.models.changes import Changes, ModelChange
from northstar.agent.models.errors import ModelInUse, ModelMissing, ModelNotOurs, ModelStoreUnavailable
from northstar.agent.models.flights import FetchProgress, Flights, OnProgress
from northstar.agent.models.inventory import ModelFile, Problem
from northstar.agent.models.layout import ModelKey, key_of
from northstar.agent.models.options import ModelStoreOptions, World
from northstar.agent.models.parts import Parts, Ties, open_folder
from northstar.agent.models.shelf import MOST_HELD
from northstar.agent.models.threads import to_its_end

if TYPE_CHECKING:
    from northstar.domain.models import ModelHeld, ModelOrder

#: A model that came may be evicted by another process before it is taken into use; then it is fetched again.
_ROUNDS: Final = 3
#: Who drops a model holds it alone for as long as a rename takes, on a slow disk a little longer.
_LET_GO_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.01


class ModelStore:
    """One machine's models. All methods belong to the loop in which it was opened."""

    def __init__(self, options: ModelStoreOptions, *, world: World | None = None) -> None:
        """Nothing is touched before the store is opened."""
        self._options = options
        self._world = world or World()
        self._changes = Changes()
        self._flights = Flights(clock=self._world.clock)
        self._busy = 0
        self._opened: Parts | None = None
        self._upkeep_task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open the folder, sweep what a killed process left, and look at what is there.

        Raises:
            ModelStoreUnavailable: the folder or its journal cannot be used.
        """
        loop, world = asyncio.get_running_loop(), self._world

        def dropped(file: ModelFile) -> None:
            loop.call_soon_threadsafe(self._gone, file)

        layout, journal = await to_its_end(lambda: open_folder(self._options, world))
        ties = Ties(rate=self._rate, dropped=dropped, changes=self._changes)
        parts = Parts(layout, journal, self._options, world, ties)
        try:
            await parts.upkeep.look()
            present = {file.key.id for file in parts.shelf.files()}
            await to_its_end(lambda: parts.evictor.sweep(present=present, now_s=world.now()))
        except BaseException as error:
            journal.close()
            if isinstance(error, OSError):
                raise ModelStoreUnavailable(str(error)) from error
            raise
        self._opened = parts
        upkeep = parts.upkeep.run(every_s=self._options.survey_every_s, tell=self._tell_moves)
        self._upkeep_task = loop.create_task(upkeep, name="upkeep of models")
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Give up what is being fetched (what came is kept) and close everything."""
        parts, self._opened = self._parts, None
        await self._flights.end_all()
        if self._upkeep_task is not None:
            self._upkeep_task.cancel()
            await asyncio.wait([self._upkeep_task])
        with contextlib.suppress(ModelStoreUnavailable):  # when each model was used last is not worth an error
            await parts.upkeep.write_down()
        await parts.sources.close()
        parts.journal.close()
        self._changes.tell(None)

    # What is there ---------------------------------------------------------------------------------------------------

    def held(self, *, limit: int = MOST_HELD) -> tuple[ModelHeld, ...]:
        """What to announce to the broker; of too many, those that were used last."""
        return self._parts.shelf.held(limit=limit)

    def fetching(self) -> tuple[FetchProgress, ...]:
        """What is being fetched now."""
        return self._flights.progress()

    def problems(self) -> tuple[Problem, ...]:
        """Files that are there and not offered, with reasons for people."""
        return self._parts.upkeep.problems

    def files(self) -> tuple[ModelFile, ...]:
        """Everything that is offered, with its place and, once known, its hash."""
        return self._parts.shelf.files()

    @property
    def disk_bytes(self) -> int:
        """What the settings let models have of the disk."""
        return self._parts.space.disk_bytes

    @property
    def bytes_per_s(self) -> float:
        """How fast models came lately; 0 before the first."""
        return self._parts.supply.bytes_per_s

    def changes(self) -> AsyncIterator[ModelChange]:
        """What comes, goes and is fetched from now on; ends when the store closes."""
        return self._changes.listen()

    async def look(self) -> None:
        """Look at the folders now instead of at the next turn.

        Raises:
            ModelStoreUnavailable: the journal cannot be read.
        """
        self._tell_moves(*await self._parts.upkeep.look())

    # What the agent knows ----------------------------------------------------------------------------------------------

    def cap_disk(self, most_bytes: int) -> None:
        """Let models take no more than this of the disk, even where the settings allow it; 0: what the settings allow."""
        self._parts.space.cap(most_bytes)

    def set_resident(self, names: Collection[str]) -> None:
        """These are in the engine's memory now."""
        self._parts.shelf.resident = frozenset(names)

    def set_kept(self, names: Collection[str]) -> None:
        """The machine's pools want these on it: none is evicted until the next call says something else."""
        self._parts.shelf.kept = frozenset(names)

    def reserving(self, names: Collection[str]) -> AbstractContextManager[None]:
        """Work that needs these has come to this machine: none is evicted meanwhile, whether it is here already or comes."""
        return self._parts.shelf.reserving(names)

    @contextmanager
    def use(self, names: Collection[str]) -> Iterator[None]:
        """A job runs with these models: none of them is evicted, and fetches keep to the rate for busy machines.

        A name that is not here, or goes at this moment, is no error, for engines have models of their own; `using` makes sure of them.
        """
        with self._working([file.key for name in names for file in self._parts.shelf.named(name)]):
            yield

    @asynccontextmanager
    async def using(
        self, orders: Sequence[ModelOrder], *, on_progress: OnProgress | None = None
    ) -> AsyncIterator[tuple[ModelFile, ...]]:
        """Fetch what is missing, then keep all of it from being evicted while the block runs.

        Raises:
            NorthstarError: as `ensure`; ModelMissing if others evict them again and again.
        """
        keys = [key_of(order) for order in orders]
        with self._parts.shelf.wanting(keys):
            for _ in range(_ROUNDS):
                files = await self.ensure(orders, on_progress=on_progress)
                with self._working(keys) as are_kept:
                    if are_kept and await to_its_end(lambda: all(file.is_unchanged() for file in files)):  # noqa: B023 -- awaited at once
                        yield files
                        return
                await self._until_let_go(keys)
                await self.look()
        raise ModelMissing(", ".join(order.name for order in orders))

    # What to bring and what to drop --------------------------------------------------------------------------------

    async def ensure(
        self, orders: Sequence[ModelOrder], *, on_progress: OnProgress | None = None
    ) -> tuple[ModelFile, ...]:
        """Fetch what is missing and wait for all of it. None of these models is evicted for another one meanwhile.

        Raises:
            NorthstarError: of the first that fails; the fetches that only this call waited for are given up.
        """
        with self._parts.shelf.wanting([key_of(order) for order in orders]):
            tasks = [asyncio.ensure_future(self.fetch(order, on_progress=on_progress)) for order in orders]
            try:
                return tuple(await asyncio.gather(*tasks))
            finally:
                for task in tasks:
                    task.cancel()
                if tasks:
                    await asyncio.wait(tasks)

    async def fetch(self, order: ModelOrder, *, on_progress: OnProgress | None = None) -> ModelFile:
        """Have this model here: at once if it is, else when it is whole and verified.

        `on_progress` is called in the loop, about once a megabyte. If the call is cancelled and nobody else waits for
        the model, the fetch is given up; what came is kept for the next.

        Raises:
            InvalidRequest: the order's name or source cannot be used.
            Refused: by name, format, address or size; see `errors`.
            Unavailable: of the sources, the disk, the room; see `errors` and `fetch_errors`.
        """
        parts, key = self._parts, key_of(order)
        parts.layout.target(order)
        if not self._flights.has(key) and (
            found := await parts.supply.present(key, order, coming=self._flights.keys())
        ):
            return found
        return await self._flights.join(key, order, parts.supply.fly, on_progress=on_progress)

    async def evict(self, name: str) -> int:
        """Remove every model of this name; the bytes that this frees.

        Raises:
            ModelMissing: there is none.
            ModelInUse: one is in use, reserved or being fetched; it and those after it are still there.
            ModelNotOurs: one was found, not fetched, or lies in a folder that is only read.
        """
        files = self._parts.shelf.named(name)
        if not files:
            raise ModelMissing(name)
        for file in files:
            may_go = self._options.evict_found or (file.known is not None and file.known.fetched)
            if not (may_go and file.is_ours_to_change):
                raise ModelNotOurs(name)
            if self._parts.shelf.is_kept(file.key) or self._flights.has(file.key):
                raise ModelInUse(name)
        for file in files:
            try:
                dropped = await to_its_end(self._parts.room.drop, file, reason="ordered")
            except OSError as error:
                raise ModelStoreUnavailable(str(error)) from error
            if not dropped:
                raise ModelInUse(name)
            if self._parts.shelf.get(file.key) == file:  # else a job has had it fetched again
                self._parts.shelf.remove(file.key)
        return sum(file.facts.size_bytes for file in files)

    # Inside ------------------------------------------------------------------------------------------------------------

    @property
    def _parts(self) -> Parts:
        if self._opened is None:
            raise ModelStoreUnavailable("the model store is not open")
        return self._opened

    def _rate(self) -> float:
        return self._options.busy_bytes_per_s if self._busy else self._options.idle_bytes_per_s

    @contextmanager
    def _working(self, keys: Collection[ModelKey]) -> Iterator[bool]:
        self._busy += 1
        try:
            with self._parts.shelf.using(keys) as are_kept:
                yield are_kept
        finally:
            self._busy -= 1

    async def _until_let_go(self, keys: Collection[ModelKey]) -> None:
        """Wait until whoever drops one of these has done so, or has seen that it is wanted; after a minute the next round tells."""
        for _ in range(round(_LET_GO_WITHIN_S / _LOOK_EVERY_S)):
            if self._parts.shelf.is_let_go(keys):
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    def _gone(self, file: ModelFile) -> None:
        self._tell_moves([], [file])
        if self._opened is not None and self._opened.shelf.get(file.key) == file:
            self._opened.shelf.remove(file.key)

    def _tell_moves(self, came: list[ModelFile], gone: list[ModelFile]) -> None:
        for file in came:
            self._changes.tell(ModelChange(what="came", name=file.key.name, size_bytes=file.facts.size_bytes))
        for file in gone:
            self._changes.tell(ModelChange(what="gone", name=file.key.name, size_bytes=file.facts.size_bytes))
