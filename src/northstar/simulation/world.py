"""What all parts of one simulation share: its time, its agenda, its cell, and the numbers that stand for what is random elsewhere."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

from northstar.simulation.agenda import Agenda
from northstar.simulation.clock import VirtualClock

if TYPE_CHECKING:
    from northstar.simulation.agenda import Entry, Happening
    from northstar.simulation.outage import SimulationServer
    from northstar.simulation.server_line import ServerLine
    from northstar.store.cell import Cell


class World:
    """Of one run. Ids are counted and chance is drawn from the seed, so that the same inputs give the same run."""

    def __init__(self, cell: Cell, line: ServerLine, server: SimulationServer, *, seed: int) -> None:
        self.clock = VirtualClock()
        self.agenda = Agenda()
        self.cell = cell
        self.line = line
        self.server = server
        self.rng = random.Random(seed)
        #: Nobody reaches the server of the queue now.
        self.is_server_away = False
        self._awaited: list[Happening] = []
        self._ids = itertools.count(1)
        cell.now_ms = self.clock.cell_ms

    def new_id(self) -> str:
        """Text that nothing else of this simulation has."""
        return f"{next(self._ids):016x}"

    def advance(self, to_ms: int) -> None:
        """Let time pass, for the cell too."""
        self.clock.advance(to_ms)
        self.cell.now_ms = self.clock.cell_ms

    def soon(self, happens: Happening, *, in_ms: int = 0) -> Entry:
        """Have something happen so many milliseconds from now."""
        return self.agenda.at(self.clock.now_ms + in_ms, happens)

    async def once_there(self, happens: Happening) -> None:
        """Have something happen that needs the server: now, or as soon as it is back. Bounded by what befalls machines meanwhile."""
        if self.is_server_away:
            self._awaited.append(happens)
        else:
            await happens()

    def awaited(self) -> list[Happening]:
        """What has waited for the server, in order; it is taken away."""
        awaited, self._awaited = self._awaited, []
        return awaited
