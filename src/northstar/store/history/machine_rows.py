"""Rows of machines: what was last known of each, and when each was there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import BindParameter, Connection, bindparam, func, select, update

from northstar.store.history.finished_jobs import storable
from northstar.store.history.machine_memory import machine_of
from northstar.store.history.tables import machines, presences
from northstar.store.history.upserting import upsert
from northstar.store.machine_facts import MachineFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.domain.events import Event
    from northstar.store.history.machine_memory import Sighting

#: Names in one statement.
_PER_QUERY: Final = 300
_FACTS: Final = MachineFacts.__struct_fields__
# Built once: see `upserting`.
_NAMES: Final[BindParameter[str]] = bindparam("names", expanding=True)
_KNOWN: Final = select(machines.c.machine, *(machines.c[name] for name in _FACTS)).where(
    machines.c.cell == bindparam("cell"), machines.c.machine.in_(_NAMES)
)
_OPEN: Final = (
    select(presences.c.machine, func.max(presences.c.since_ms))
    .where(presences.c.cell == bindparam("cell"), presences.c.machine.in_(_NAMES), presences.c.until_ms.is_(None))
    .group_by(presences.c.machine)
)
_PRICE: Final = bindparam("price", type_=presences.c.price_usd_per_hour.type)
_NOTE_PRICE: Final = (
    update(presences)
    .where(
        presences.c.cell == bindparam("of_cell"),
        presences.c.machine == bindparam("of_machine"),
        presences.c.until_ms.is_(None),
        presences.c.price_usd_per_hour.is_distinct_from(_PRICE),
    )
    .values(price_usd_per_hour=_PRICE)
)
_COMES: Final = frozenset({"machine.registered", "job.started"})
_GOES: Final = frozenset({"machine.lost", "machine.removed"})


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that was there from `since_ms` until `until_ms`, or still is (None)."""

    machine: str
    since_ms: int
    until_ms: int | None = None


def known_machines(connection: Connection, cell: str, names: Sequence[str]) -> dict[str, MachineFacts]:
    """What was last known of these machines."""
    found: dict[str, MachineFacts] = {}
    for some in _pieces(names):
        for row in connection.execute(_KNOWN, {"cell": cell, "names": some}):
            facts = dict(zip(_FACTS, row[1:], strict=True))
            found[row.machine] = MachineFacts(
                **facts | {"pools": tuple(facts["pools"] or ()), "gpu": facts["gpu"] or ""}
            )
    return found


def put_machines(connection: Connection, cell: str, sightings: Iterable[Sighting]) -> None:
    """Remember them; of one that nobody could look at, only that it was heard of."""
    rows = [_row(cell, sighting) for sighting in sightings]
    for has_facts in (True, False):
        some = [row for row in rows if ("gpu_class" in row) == has_facts]
        if some:
            new = [name for name in some[0] if name not in {"cell", "machine", "first_seen_ms"}]
            connection.execute(upsert(connection, machines, key=("cell", "machine"), new=new), some)


def put_presences(connection: Connection, cell: str, events: Sequence[Event], sightings: Sequence[Sighting]) -> None:
    """Note who came and who went. A machine that works without having come, as far as is known, came when it began to."""
    prices = {one.machine: one.facts.price_usd_per_hour for one in sightings if one.facts is not None}
    names = [sighting.machine for sighting in sightings]
    there = _open(connection, cell, names)
    changed = presences_of(events, there)
    for has_price in (True, False):
        some = [presence for presence in changed if (presence.machine in prices) == has_price]
        if some:
            # What nobody said of a price this time takes away none that was said before.
            new = ("until_ms", "price_usd_per_hour") if has_price else ("until_ms",)
            statement = upsert(connection, presences, key=("cell", "machine", "since_ms"), new=new)
            connection.execute(statement, [_presence_row(cell, one, prices.get(one.machine)) for one in some])
    _note_prices(connection, cell, {name: price for name, price in prices.items() if name in there})


def presences_of(events: Iterable[Event], there: dict[str, int]) -> list[Presence]:
    """What changes by these events; `there` are the machines that are there before, and since when."""
    since, changed = dict(there), dict[tuple[str, int], Presence]()
    for event in events:
        name = machine_of(event)
        if event.kind in _COMES and name and name not in since:
            since[name] = event.at_ms
            changed[name, event.at_ms] = Presence(machine=name, since_ms=event.at_ms)
        elif event.kind in _GOES and name in since:
            since_ms = since.pop(name)
            changed[name, since_ms] = Presence(machine=name, since_ms=since_ms, until_ms=max(since_ms, event.at_ms))
    return list(changed.values())


def _open(connection: Connection, cell: str, names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in _pieces(names):
        found.update((row[0], row[1]) for row in connection.execute(_OPEN, {"cell": cell, "names": some}))
    return found


def _note_prices(connection: Connection, cell: str, prices: dict[str, float | None]) -> None:
    """A price that was said, or changed, after the machine came holds for the whole of its stay."""
    if prices:
        rows = [{"of_cell": cell, "of_machine": storable(name), "price": price} for name, price in prices.items()]
        connection.execute(_NOTE_PRICE, rows)


def _presence_row(cell: str, presence: Presence, price: float | None) -> dict[str, Any]:
    known = {"machine": storable(presence.machine), "price_usd_per_hour": price}
    return {"cell": cell} | msgspec.structs.asdict(presence) | known


def _row(cell: str, sighting: Sighting) -> dict[str, Any]:
    row: dict[str, Any] = {
        "cell": cell,
        "machine": storable(sighting.machine),
        "first_seen_ms": sighting.first_ms,
        "last_seen_ms": sighting.last_ms,
    }
    if sighting.facts is not None:
        row |= msgspec.structs.asdict(sighting.facts)
        row |= {name: storable(row[name]) for name in ("gpu", "gpu_class", "region") if row[name]}
        row["pools"] = list(sighting.facts.pools)
    return row


def _pieces(names: Sequence[str]) -> Iterable[list[str]]:
    for first in range(0, len(names), _PER_QUERY):
        yield [storable(name) for name in names[first : first + _PER_QUERY]]
