"""The machines of a simulation as they come, stand, fall ill and go."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeVar

from northstar.simulation.books import FetchBooks
from northstar.simulation.clock import in_ms
from northstar.simulation.errors import FleetInvalid
from northstar.simulation.inputs import Fault, Life
from northstar.simulation.machine import MachineAtWork
from northstar.simulation.model_store import SimulatedStore
from northstar.simulation.outcome import Span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from northstar.simulation.agenda import Entry, Happening
    from northstar.simulation.inputs import AnyFault, SimulatedMachine
    from northstar.simulation.ledger import Ledger
    from northstar.simulation.policy import FleetPolicy
    from northstar.simulation.settings import SimulationSettings
    from northstar.simulation.world import World
    from northstar.store.bells import Ring

What = TypeVar("What")

#: Work that failed with its engine is tried again within this time.
_RETRIES_MS: Final = 600_000


class _Station:
    """One machine of the fleet: who it is at present, and its disk where that is kept."""

    def __init__(self, machine: SimulatedMachine) -> None:
        self.machine = machine
        self.at_work: MachineAtWork | None = None
        self.store: SimulatedStore | None = None
        self.lives = 0
        #: How many times as fast its line is, for each fault of it that lasts.
        self.line_factors: list[float] = []
        self.paid_since_ms: int | None = None
        #: When it comes, of one that was asked for and still boots.
        self.comes: Entry | None = None

    def set_line(self) -> None:
        """Its line is as all the faults that last make it, in this life and the next."""
        if self.store is not None:
            self.store.link.set_factor(math.prod(self.line_factors))


class Stations:
    """All of them, by name."""

    def __init__(
        self,
        world: World,
        fleet: Sequence[SimulatedMachine],
        faults: Sequence[AnyFault],
        *,
        policy: FleetPolicy,
        settings: SimulationSettings,
        ledger: Ledger,
        scaled: Collection[str] = (),
    ) -> None:
        """`scaled` are machines without lives, which follow their queue.

        Raises FleetInvalid: lives overlap or are missing, two machines have one name, or a fault befalls none of them.
        """
        self._world = world
        self._policy = policy
        self._settings = settings
        self._ledger = ledger
        self._faults = [fault for fault in faults if isinstance(fault, Fault)]
        self.books = FetchBooks()
        self.lost = 0
        #: When machines without lives of their own were paid for, in the order in which they went.
        self.scaled: list[Span] = []
        #: When one last came or went, and until when one may still be found to be lost.
        self.moved_ms = 0
        self._doubtful_until_ms = -1
        self._cut_off = 0
        self._stations: dict[str, _Station] = {}
        for machine in fleet:
            if machine.id in self._stations:
                raise FleetInvalid(machine.id, "is there twice")
            _check(machine)
            if not machine.lives and machine.id not in scaled:
                raise FleetInvalid(machine.id, "has no life and follows no queue")
            if machine.lives and machine.id in scaled:
                raise FleetInvalid(machine.id, "follows its queue and has a life of its own")
            self._stations[machine.id] = _Station(machine)
        for fault in self._faults:
            if fault.machine not in self._stations:
                raise FleetInvalid(fault.machine, "has a fault and is not there")

    @property
    def are_doubtful(self) -> bool:
        """Whether the cell may still find one of them lost, or work of theirs to be tried again."""
        return self._cut_off > 0 or self._world.clock.now_ms <= self._doubtful_until_ms

    def expect(self) -> None:
        """Put all that befalls them on the agenda."""
        for station in self._stations.values():
            for life in station.machine.lives:
                self._expect_life(station, life)
        for fault in self._faults:
            self._world.agenda.at(fault.at_ms, _later(self._befall, self._stations[fault.machine], fault))

    def words(self) -> list[str]:
        """What jobs may ask for because one of these machines comes some time."""
        return sorted({word for one in self._stations.values() for word in one.machine.profile().words()})

    def held(self) -> dict[str, dict[str, int]]:
        """What each machine that is up holds: its models and their bytes."""
        return {
            name: {model.name: model.size_bytes for model in station.store.held()}
            for name, station in self._stations.items()
            if station.at_work is not None and station.store is not None
        }

    def close(self) -> None:
        """The simulation is over; those that are still there are paid for until now."""
        for station in self._stations.values():
            self._settle(station)

    async def hear(self, ring: Ring) -> None:
        """A bell for one of them."""
        station = self._stations.get(getattr(ring, "machine", ""))
        if station is not None and station.at_work is not None:
            await station.at_work.hear(ring)

    async def server_is_back(self) -> None:
        """Whoever was not heard because the server was away says what he has."""
        self.moved_ms = self._world.clock.now_ms
        self._doubt(in_ms(self._settings.grace_s))
        for station in self._stations.values():
            if station.at_work is not None and not station.at_work.is_cut_off:
                await station.at_work.come_back()

    # Coming and going -------------------------------------------------------------------------------------------------

    def _expect_life(self, station: _Station, life: Life) -> None:
        agenda = self._world.agenda
        agenda.at(life.from_ms, _later(self._is_paid, station, life))
        agenda.at(life.from_ms + life.boots_ms, _later(self._come, station, life))
        if life.until_ms is None:
            return
        if life.ends == "left" and life.drains_ms:
            agenda.at(max(life.from_ms, life.until_ms - life.drains_ms), _later(self._drain, station, life))
        agenda.at(life.until_ms, _later(self._go, station, life))

    async def _is_paid(self, station: _Station, _: Life) -> None:
        station.paid_since_ms = self._world.clock.now_ms

    async def _come(self, station: _Station, life: Life) -> None:
        machine, world = station.machine, self._world
        if life.until_ms is not None and life.until_ms <= world.clock.now_ms:
            return  # it was gone before it was ready
        if station.store is None or not life.keeps_disk:
            station.store = SimulatedStore(
                world,
                machine,
                parallel=self._settings.parallel_fetches,
                policy=self._policy,
                books=self.books,
            )
        station.lives += 1
        if station.lives == 1:
            world.line.listen(world.cell.keys.bell(machine.id), machine.id)
        at_work = MachineAtWork(world, machine, life=station.lives, store=station.store, watches=self._ledger)
        station.at_work = at_work
        station.set_line()
        self.moved_ms = world.clock.now_ms
        await at_work.come()

    async def _drain(self, station: _Station, _: Life) -> None:
        if station.at_work is not None:
            await station.at_work.drain()

    async def _go(self, station: _Station, life: Life) -> None:
        at_work, station.at_work = station.at_work, None
        self._settle(station)
        self.moved_ms = self._world.clock.now_ms
        if at_work is None:
            return
        if life.ends == "left":
            await at_work.leave(grace_ms=in_ms(self._settings.grace_s))
        else:
            self.lost += 1
            self._doubt(in_ms(self._settings.grace_s))
            await at_work.vanish(grace_ms=in_ms(self._settings.grace_s))

    def _settle(self, station: _Station) -> None:
        if station.paid_since_ms is not None:
            now_ms = self._world.clock.now_ms
            self._ledger.use.paid(station.machine, for_ms=now_ms - station.paid_since_ms)
            if not station.machine.lives:
                self.scaled.append(Span(station.machine.id, station.paid_since_ms, now_ms))
            station.paid_since_ms = None

    def _doubt(self, for_ms: int) -> None:
        self._doubtful_until_ms = max(self._doubtful_until_ms, self._world.clock.now_ms + for_ms)

    # Of groups that follow their queue --------------------------------------------------------------------------------

    def machine(self, name: str) -> SimulatedMachine:
        """One of the fleet. Raises FleetInvalid: it is not."""
        if name not in self._stations:
            raise FleetInvalid(name, "shall follow the queue and is not there")
        return self._stations[name].machine

    def is_there(self, name: str) -> bool:
        """Whether it is paid for: at work, or booting."""
        return self.is_booting(name) or self._stations[name].at_work is not None

    def is_booting(self, name: str) -> bool:
        """Whether it was asked for and is not ready."""
        return self._stations[name].comes is not None

    def is_idle(self, name: str) -> bool:
        """Whether it is at work and has nothing to do."""
        at_work = self._stations[name].at_work
        return at_work is not None and at_work.is_idle

    def ask(self, name: str, *, boots_ms: int) -> None:
        """Have it come; it is paid for from now on."""
        station, now_ms = self._stations[name], self._world.clock.now_ms
        station.paid_since_ms = now_ms
        life = Life(from_ms=now_ms, boots_ms=boots_ms)

        async def comes() -> None:
            station.comes = None
            await self._come(station, life)

        station.comes = self._world.soon(comes, in_ms=boots_ms)

    async def give_up(self, name: str) -> None:
        """It goes at once."""
        station = self._stations[name]
        if station.comes is not None:
            station.comes.strike()
            station.comes = None
        await self._go(station, Life(from_ms=0))

    # Faults -----------------------------------------------------------------------------------------------------------

    async def _befall(self, station: _Station, fault: Fault) -> None:
        at_work, store, world = station.at_work, station.store, self._world
        if at_work is None or store is None:
            return
        match fault.kind:
            case "link":
                station.line_factors.append(fault.factor)
                station.set_line()

                async def heals() -> None:
                    station.line_factors.remove(fault.factor)
                    station.set_line()

                world.soon(heals, in_ms=fault.for_ms)
            case "corrupt":
                store.spoil_next()
            case "engine":
                self._doubt(_RETRIES_MS)
                await at_work.engine_dies(for_ms=fault.for_ms)
            case "cut_off":
                grace_ms = in_ms(self._settings.grace_s)
                self._doubt(grace_ms)
                self._cut_off += 1
                await at_work.cut_off(grace_ms=grace_ms)

                async def back() -> None:
                    self._cut_off -= 1
                    if not at_work.is_gone:
                        await at_work.come_back()

                async def heard() -> None:
                    await world.once_there(back)

                world.soon(heard, in_ms=fault.for_ms)


def _later(act: Callable[[_Station, What], Awaitable[None]], station: _Station, what: What) -> Happening:
    async def happens() -> None:
        await act(station, what)

    return happens


def _check(machine: SimulatedMachine) -> None:
    before_ms = 0
    for life in machine.lives:
        if life.from_ms < before_ms:
            raise FleetInvalid(machine.id, f"comes at {life.from_ms} ms while it is still there")
        if life.until_ms is not None and life.until_ms <= life.from_ms:
            raise FleetInvalid(machine.id, f"is gone at {life.until_ms} ms before it has come")
        before_ms = 2**62 if life.until_ms is None else life.until_ms
