"""In the background: looks at the folders, hashes what is new, and writes down what was used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.agent.models.hashing import hash_of
from northstar.agent.models.inventory import Inventory, ModelFile, Problem, survey
from northstar.agent.models.journal import Journal, Known
from northstar.agent.models.threads import to_its_end
from northstar.domain.errors import NorthstarError
from northstar.telemetry import logger

if TYPE_CHECKING:
    from northstar.agent.models.layout import Layout
    from northstar.agent.models.pace import Clock, Pace
    from northstar.agent.models.shelf import Shelf

log = logger(__name__)

_WRITE_EVERY_S: Final = 30.0


class Upkeep:
    """Keeps shelf, journal and folders together."""

    def __init__(
        self, shelf: Shelf, journal: Journal, layout: Layout, *, pace: Pace, allow_pickle: bool, now: Clock
    ) -> None:
        """`pace` is that of hashing."""
        self._shelf = shelf
        self._journal = journal
        self._layout = layout
        self._pace = pace
        self._allow_pickle = allow_pickle
        self._now = now
        self._looking = asyncio.Lock()
        self.problems: tuple[Problem, ...] = ()

    async def look(self) -> tuple[list[ModelFile], list[ModelFile]]:
        """Look at the folders now; the models that came and those that are gone.

        Raises:
            ModelStoreUnavailable: the journal cannot be read.
        """
        async with self._looking:
            self._shelf.begin_survey()
            found: Inventory = await to_its_end(
                survey, self._layout, self._journal, allow_pickle=self._allow_pickle, known=self._shelf.files()
            )
            self.problems = found.problems
            return self._shelf.end_survey(found.files)

    async def hash_now(self, file: ModelFile, *, paced: bool = False) -> ModelFile | None:
        """The same model with its hash; None if it is gone or changed meanwhile.

        Raises:
            OSError: it cannot be read.
            ModelStoreUnavailable: the journal cannot be written.
        """
        sha256 = await hash_of(file.path, file.facts, pace=self._pace if paced else None)
        if sha256 is None:
            return None
        known = Known(sha256=sha256, used_at_s=file.facts.mtime_ns / 1e9)
        await to_its_end(lambda: self._journal.remember(file.place, file.facts, known))
        hashed = msgspec.structs.replace(file, known=known)
        if self._shelf.get(file.key) == file:
            self._shelf.put(hashed)
        return hashed

    async def run(self, *, every_s: float, tell: Callable[[list[ModelFile], list[ModelFile]], None]) -> None:
        """For ever: hash, write down, and look again. What fails is logged and tried again at the next look."""
        while True:
            try:
                for file in self._shelf.files():
                    if file.known is None:
                        await self._hash_quietly(file)
                await self._wait(every_s)
                tell(*await self.look())
            except (NorthstarError, OSError) as error:
                log.warning("models_upkeep_failed", error=str(error))
                await asyncio.sleep(every_s)

    async def _hash_quietly(self, file: ModelFile) -> None:
        """One file that cannot be read must not keep the others from their hashes."""
        try:
            await self.hash_now(file, paced=True)
        except OSError as error:
            log.warning("model_not_hashed", model=file.key.name, error=str(error))

    async def write_down(self) -> None:
        """Write down what was used since the last time."""
        places = [file.place for file in self._shelf.take_touched()]
        await to_its_end(lambda: self._journal.used(places, at_s=self._now()))

    async def _wait(self, seconds: float) -> None:
        left_s = seconds
        while left_s > 0:
            await asyncio.sleep(min(left_s, _WRITE_EVERY_S))
            left_s -= _WRITE_EVERY_S
            await self.write_down()
