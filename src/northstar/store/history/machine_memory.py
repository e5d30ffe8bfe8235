"""Which machines a batch of events speaks of, and what is known of them: from the cell while they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.store.machine_facts import MachineFacts, read_facts, read_machine_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.events import Event
    from northstar.store.cell import Cell

#: A machine that works is looked at again after so long: its link is measured anew, its price may change.
AGAIN_MS: Final = 60_000
#: After these a machine may say something else of itself.
_ANEW: Final = frozenset({"machine.registered", "machine.updated"})
_GOES: Final = frozenset({"machine.lost", "machine.removed"})
_OF_MACHINES: Final = _ANEW | _GOES
#: Machines remembered, of those that are there; beyond that all are looked at again.
MAX_REMEMBERED: Final = 10_000


class Sighting(msgspec.Struct, frozen=True):
    """A machine that a batch speaks of. `facts` is None for one that was gone before anybody looked."""

    machine: str
    first_ms: int
    last_ms: int
    facts: MachineFacts | None = None


class MachineMemory:
    """What the writer of one cell's history knows of its machines."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._known: dict[str, tuple[int, MachineFacts]] = {}

    @property
    def remembered(self) -> int:
        """Machines that are remembered."""
        return len(self._known)

    async def look(self, events: Sequence[Event]) -> dict[str, Sighting]:
        """Every machine of the batch; those that changed, or were not looked at for long, are read. Raises Unavailable."""
        seen = sightings_of(events)
        if len(self._known) > MAX_REMEMBERED:
            self._known.clear()
        changed = self._hear(events)
        unsure = [name for name, sighting in seen.items() if name in changed or not self._is_fresh(sighting)]
        found = await read_machine_facts(self._cell.client, self._cell.keys, unsure)
        for name, facts in found.items():
            self._known[name] = (seen[name].last_ms, facts)
        told = {
            name: msgspec.structs.replace(sighting, facts=self._known[name][1] if name in self._known else None)
            for name, sighting in seen.items()
        }
        # Of those that are gone the history itself knows what they were.
        for name in gone_by(events):
            self._known.pop(name, None)
        return told

    def _hear(self, events: Sequence[Event]) -> set[str]:
        """Take in what machines said when they came; gives those that may say something else by now."""
        changed: set[str] = set()
        for event in events:
            if event.kind not in _ANEW:
                continue
            facts = read_facts(event.data.get("facts"))
            if facts is None:
                changed.add(event.subject)
            else:
                self._known[event.subject] = (event.at_ms, facts)
                changed.discard(event.subject)
        return changed

    def _is_fresh(self, sighting: Sighting) -> bool:
        known = self._known.get(sighting.machine)
        return known is not None and sighting.last_ms - known[0] < AGAIN_MS


def gone_by(events: Sequence[Event]) -> list[str]:
    """The machines that are gone at the end of these events, as far as they say."""
    last = {event.subject: event.kind for event in events if event.kind in _ANEW | _GOES}
    return [name for name, kind in last.items() if kind in _GOES]


def machine_of(event: Event) -> str:
    """The machine that came, went or worked; empty for other events, invites and pauses among them."""
    return event.subject if event.kind in _OF_MACHINES else str(event.data.get("machine") or "")


def sightings_of(events: Sequence[Event]) -> dict[str, Sighting]:
    """The machines that events speak of, and when they did so first and last."""
    seen: dict[str, Sighting] = {}
    for event in events:
        name = machine_of(event)
        if not name:
            continue
        before = seen.get(name)
        first_ms = event.at_ms if before is None else before.first_ms
        seen[name] = Sighting(name, first_ms, event.at_ms)
    return seen
