"""A simulated machine's models: the deployed shelf and the deployed choice of what goes, with a disk that is only a number.

What `agent.models.store.ModelStore` does with files and threads happens here on the agenda. Which models are there, who uses them, what
may be evicted and what is chosen for it is the agent's own code: `Shelf`, `Room` and `policy.models.eviction`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from northstar.agent.models.changes import ModelChange
from northstar.agent.models.errors import ModelMissing, ModelNotOurs, ModelStoreFull
from northstar.agent.models.files import FileFacts
from northstar.agent.models.flights import FetchProgress
from northstar.agent.models.inventory import ModelFile
from northstar.agent.models.journal import Known
from northstar.agent.models.layout import ModelKey, key_of
from northstar.agent.models.line_rate import ASSUMED_BYTES_PER_S, learned
from northstar.agent.models.room import Room
from northstar.agent.models.shelf import Shelf
from northstar.policy.models.folders import family_of, folder_for
from northstar.simulation.link import Link, Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from northstar.domain.errors import NorthstarError
    from northstar.domain.models import ModelHeld, ModelOrder
    from northstar.policy.models.eviction import Candidate, EvictionPlan, EvictionRule
    from northstar.simulation.books import FetchBooks
    from northstar.simulation.inputs import FileOnDisk, SimulatedMachine
    from northstar.simulation.link import Transfer
    from northstar.simulation.policy import FleetPolicy
    from northstar.simulation.world import World

_NO_PLACE: Final = Path()


class Came(NamedTuple):
    """What a fetch brought to whoever asked first: bytes, and those of them that the fleet had fetched before."""

    fetched_bytes: int = 0
    redundant_bytes: int = 0


NOTHING: Final = Came()


class Ended(Protocol):
    """Hears of the end of a fetch: what went wrong, if anything, and what came."""

    def __call__(self, error: NorthstarError | None, came: Came) -> Awaitable[None]:
        """It is over."""
        ...


class _Flight:
    """One fetch, and who waits for its end."""

    __slots__ = ("came", "key", "order", "transfer", "waiting")

    def __init__(self, key: ModelKey, order: ModelOrder) -> None:
        self.key = key
        self.order = order
        self.transfer: Transfer | None = None
        self.came = NOTHING
        self.waiting: list[Ended] = []


class _Removes:
    """Whoever removes a file from a disk that is only a number."""

    def drop(self, model: ModelFile, *, is_kept: Callable[[ModelKey], bool]) -> bool:
        """As the agent's evictor, without a file."""
        return not is_kept(model.key)


class SimulatedStore:
    """Of one life of a machine, or of several where its disk is kept."""

    def __init__(
        self, world: World, machine: SimulatedMachine, *, parallel: int, policy: FleetPolicy, books: FetchBooks
    ) -> None:
        """`parallel` fetches run at a time; `policy` chooses what goes; `books` count what comes."""
        self._world = world
        self._machine = machine
        self._books = books
        self._policy = policy
        self._names: dict[str, str] = {}
        self.shelf = Shelf(None, now=world.clock.seconds)
        self._room = Room(
            self.shelf,
            _Removes(),
            bytes_per_s=lambda: self.bytes_per_s,
            may_drop_found=False,
            gone=self._gone,
            plan=self._choose,
        )
        self._parallel = parallel
        self._tell: Callable[[ModelChange], None] = _nobody
        self._flights: dict[ModelKey, _Flight] = {}
        self._used_bytes = 0
        self._reserved_bytes = 0
        self._corrupt = 0
        #: Measured, smoothed; 0 before the first fetch.
        self.bytes_per_s = 0.0
        for file in machine.disk:
            self._lay_down(file)
        self.wake(_nobody)

    # What the broker is told of ---------------------------------------------------------------------------------------

    def held(self) -> tuple[ModelHeld, ...]:
        """What is there."""
        return self.shelf.held()

    def fetching(self) -> tuple[FetchProgress, ...]:
        """What is being fetched now."""
        return tuple(
            FetchProgress(
                name=flight.order.name, received_bytes=0, total_bytes=flight.order.size_bytes or None, bytes_per_s=0.0
            )
            for flight in self._flights.values()
        )

    def set_resident(self, names: Collection[str]) -> None:
        """These are in the engine's memory now."""
        self.shelf.resident = frozenset(names)

    # Life -------------------------------------------------------------------------------------------------------------

    def wake(self, tell: Callable[[ModelChange], None]) -> None:
        """The machine has come (again): nothing is being fetched, and `tell` hears of changes."""
        self._tell = tell
        self.link = Link(self._world, bytes_per_s=self._machine.link_bytes_per_s, starts_s=self._machine.fetch_starts_s)
        self._turns = Turns(self._parallel)

    def end(self) -> None:
        """The machine is gone: what was on its way does not come."""
        for flight in self._flights.values():
            if flight.transfer is not None:
                self.link.give_up(flight.transfer)
            self.came_apart(flight.came)
        self._flights.clear()
        self._reserved_bytes = 0
        self.shelf.resident = frozenset()
        self._tell = _nobody

    def came_apart(self, came: Came) -> None:
        """What came was for no job, or for none any more."""
        self._books.came_apart(*came, at_ms=self._world.clock.now_ms)

    def spoil_next(self) -> None:
        """The next fetch that ends is not what it should be, and begins again."""
        self._corrupt += 1

    # What is brought and dropped --------------------------------------------------------------------------------------

    def missing(self, orders: Iterable[ModelOrder]) -> list[ModelOrder]:
        """Those that are not there yet."""
        return [order for order in orders if self.shelf.get(key_of(order)) is None]

    async def fetch(self, order: ModelOrder, ended: Ended) -> None:
        """Bring a model that is not there; `ended` hears of its end."""
        key = key_of(order)
        flight = self._flights.get(key)
        if flight is not None:
            flight.waiting.append(_for_a_companion(ended))
            return
        flight = self._flights[key] = _Flight(key, order)
        flight.waiting.append(ended)
        await self._turns.take(lambda: self._begin(flight))

    async def _begin(self, flight: _Flight) -> None:
        if self._flights.get(flight.key) is not flight:
            return  # the machine it was for is gone
        order = flight.order
        expected_ms = int(1_000 * order.size_bytes / (self.bytes_per_s or ASSUMED_BYTES_PER_S))
        self._tell(
            ModelChange(what="fetch_started", name=order.name, expected_ms=expected_ms, size_bytes=order.size_bytes)
        )
        full = self._make_room(order)
        if full is not None:
            self._tell(ModelChange(what="fetch_ended", name=order.name, outcome="failed", code=full.code))
            await self._end(flight, full)
            return
        self._reserved_bytes += order.size_bytes
        flight.transfer = self.link.begin(order.size_bytes, lambda: self._arrive(flight))

    def _make_room(self, order: ModelOrder) -> ModelStoreFull | None:
        lacking = self._lacking(order.size_bytes)
        reasons = ""
        if lacking > 0:
            reasons = self._room.make(lacking)
            lacking = self._lacking(order.size_bytes)
        if lacking <= 0:
            return None
        return ModelStoreFull(order.name, lacking_bytes=lacking, reason=reasons or "nothing may be dropped")

    def _lacking(self, size_bytes: int) -> int:
        return size_bytes + self._reserved_bytes + self._used_bytes - self._machine.disk_bytes

    async def _arrive(self, flight: _Flight) -> None:
        order, transfer = flight.order, flight.transfer
        if transfer is None or self._flights.get(flight.key) is not flight:
            return
        again = order.size_bytes if self._books.fetched(order.name, order.size_bytes) else 0
        flight.came = Came(flight.came.fetched_bytes + order.size_bytes, flight.came.redundant_bytes + again)
        if self._corrupt:
            self._corrupt -= 1
            flight.transfer = self.link.begin(order.size_bytes, lambda: self._arrive(flight))
            return
        now_ms = self._world.clock.now_ms
        took_s = (now_ms - transfer.began_ms) / 1000
        self._measure(order.size_bytes, (now_ms - transfer.flowed_ms) / 1000)
        self._reserved_bytes -= order.size_bytes
        self._put(flight.key, order.size_bytes, fetch_s=took_s)
        self._tell(ModelChange(what="fetch_ended", name=order.name, outcome="fetched", size_bytes=order.size_bytes))
        self._tell(ModelChange(what="came", name=order.name, size_bytes=order.size_bytes))
        await self._end(flight, None)

    async def _end(self, flight: _Flight, error: NorthstarError | None) -> None:
        del self._flights[flight.key]
        for ended in flight.waiting:
            await ended(error, flight.came)
        await self._turns.leave()

    def evict(self, name: str) -> None:
        """Remove every model of this name, as ordered. Raises ModelMissing, ModelNotOurs: there is none, or it stays."""
        files = self.shelf.named(name)
        if not files:
            raise ModelMissing(name)
        for file in files:
            if not file.is_ours_to_change or not self._room.drop(file, reason="ordered"):
                raise ModelNotOurs(name)

    # Inside -----------------------------------------------------------------------------------------------------------

    def _choose(self, candidates: Sequence[Candidate], *, need_bytes: int, rule: EvictionRule) -> EvictionPlan:
        return self._policy.evict(candidates, need_bytes=need_bytes, rule=rule, names=self._names)

    def _measure(self, size_bytes: int, flowed_s: float) -> None:
        if flowed_s > 0:
            self.bytes_per_s = learned(self.bytes_per_s, size_bytes / flowed_s, size_bytes=size_bytes)

    def _lay_down(self, file: FileOnDisk) -> None:
        key = ModelKey(family_of(folder_for(file.kind)), file.name)
        self._put(key, file.size_bytes, fetch_s=0.0, baked=file.baked)

    def _put(self, key: ModelKey, size_bytes: int, *, fetch_s: float, baked: bool = False) -> None:
        known = Known(sha256="", fetched=not baked, fetch_s=fetch_s, used_at_s=self._world.clock.seconds())
        self._names[key.id] = key.name
        self.shelf.put(
            ModelFile(
                key=key,
                path=_NO_PLACE,
                place=key.name,
                facts=FileFacts(size_bytes, 0, 0),
                is_ours_to_change=not baked,
                known=known,
            )
        )
        if not baked:
            self._used_bytes += size_bytes

    def _gone(self, file: ModelFile) -> None:
        self._used_bytes -= file.facts.size_bytes
        self.shelf.remove(file.key)
        self._names.pop(file.key.id, None)
        self._tell(ModelChange(what="gone", name=file.key.name, size_bytes=file.facts.size_bytes))


def _for_a_companion(
    ended: Ended,
) -> Ended:
    """The bytes of one fetch are counted for whoever asked first."""

    async def without_bytes(error: NorthstarError | None, came: Came) -> None:  # noqa: ARG001 -- told to the first
        await ended(error, NOTHING)

    return without_bytes


def _nobody(_: ModelChange) -> None:
    """Nobody listens."""
