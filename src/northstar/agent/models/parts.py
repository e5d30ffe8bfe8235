"""Everything that works on one models folder while the store is open, put together."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from northstar.agent.models.changes import Changes
from northstar.agent.models.download import Bench
from northstar.agent.models.evictor import Evictor
from northstar.agent.models.inventory import ModelFile
from northstar.agent.models.journal import Journal
from northstar.agent.models.layout import Layout
from northstar.agent.models.options import ModelStoreOptions, World
from northstar.agent.models.pace import Pace
from northstar.agent.models.room import Room
from northstar.agent.models.shelf import Shelf
from northstar.agent.models.sources.choice import Sources
from northstar.agent.models.space import Space
from northstar.agent.models.supply import Supply
from northstar.agent.models.transfer import Bounds
from northstar.agent.models.upkeep import Upkeep


class Ties(msgspec.Struct, frozen=True, kw_only=True):
    """What the parts need of the store that owns them."""

    #: Bytes a second that all fetches together may take now; 0 is free.
    rate: Callable[[], float]
    #: Told, in a thread, of each model that was dropped to make room.
    dropped: Callable[[ModelFile], None]
    changes: Changes


class Parts:
    """The parts of one open store."""

    def __init__(self, layout: Layout, journal: Journal, options: ModelStoreOptions, world: World, ties: Ties) -> None:
        """Belongs to the running loop."""
        self.layout = layout
        self.journal = journal
        self.shelf = Shelf(layout, now=world.now)
        self.evictor = Evictor(layout, journal)
        self.upkeep = Upkeep(
            self.shelf,
            journal,
            layout,
            pace=_pace(lambda: options.hash_bytes_per_s, world),
            allow_pickle=options.allow_pickle,
            now=world.now,
        )
        self.space = Space(layout, options.space, free_bytes=world.free_bytes)
        self.sources = Sources(options.sources, patience=options.patience, files=world.bucket)
        self.room = Room(
            self.shelf,
            self.evictor,
            bytes_per_s=lambda: self.supply.bytes_per_s,
            may_drop_found=options.evict_found,
            gone=ties.dropped,
        )
        self.supply = Supply(
            _bench(self, options, world, ties.rate),
            self.shelf,
            self.upkeep,
            room=self.room,
            changes=ties.changes,
            parallel=options.parallel,
        )


def open_folder(options: ModelStoreOptions, world: World) -> tuple[Layout, Journal]:
    """Open the folder and its journal; this blocks.

    Raises:
        ModelStoreUnavailable: one of them cannot be used.
    """
    files = world.files
    layout = Layout(options.root, extra_roots=options.extra_roots, files=files)
    return layout, Journal(layout.private, before_write=lambda: files.step("journal", layout.private))


def _bench(parts: Parts, options: ModelStoreOptions, world: World, rate: Callable[[], float]) -> Bench:
    return Bench(
        layout=parts.layout,
        journal=parts.journal,
        space=parts.space,
        sources=parts.sources,
        pace=_pace(rate, world),
        bounds=Bounds(patience=options.patience, largest_bytes=options.largest_bytes),
        allow_pickle=options.allow_pickle,
        rng=world.rng,
        clock=world.clock,
        now=world.now,
        sleep=world.sleep,
    )


def _pace(rate: Callable[[], float], world: World) -> Pace:
    return Pace(rate, clock=world.clock, sleep=world.sleep)
