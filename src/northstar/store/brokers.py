"""Which brokers of a cell run, and where each keeps outputs: what they say beside the version of the library that they use.

Who takes in files of jobs must put them where the others do, else half of a cell's results lies where nobody looks. What a broker says
lapses by itself, so one that was killed is in nobody's way for long, and nothing needs to be cleared away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from northstar.store.library_loader import announced_processes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.store.cell import Cell


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """A process that serves a cell. `outputs` is the address below which it keeps files of jobs."""

    kind: Literal["up", "serve"]
    id: str
    cell: str
    host: str
    outputs: str
    #: Private networks in which receivers of its webhooks may lie; empty (`null`): its version does not say so.
    reaches: tuple[str, ...] | None = None

    @property
    def process(self) -> str:
        """What it announces itself as."""
        return f"{self.kind}:{self.id} {msgspec.json.encode(self).decode()}"


async def read_brokers(cell: Cell) -> list[Broker]:
    """The brokers of the cell that have said lately that they run, by host; those of versions that do not say so are left out.

    Raises:
        Unavailable: the server does not answer.
    """
    found = (_broker(process) for process in await announced_processes(cell.client))
    of_cell = [broker for broker in found if broker is not None and broker.cell == cell.name]
    return sorted(of_cell, key=lambda broker: (broker.host, broker.kind, broker.id))


def reached_by_all(brokers: Iterable[Broker]) -> tuple[str, ...] | None:
    """Private networks in which all of these brokers send webhooks, since any of them may send the next; None: none of them says so.

    >>> b = Broker(kind="up", id="1", cell="c", host="h", outputs="o", reaches=("10.0.0.0/8", "192.168.0.0/16"))
    >>> reached_by_all([b, msgspec.structs.replace(b, reaches=("10.0.0.0/8",))]), reached_by_all([])
    (('10.0.0.0/8',), None)
    """
    said = [broker.reaches for broker in brokers if broker.reaches is not None]
    return tuple(one for one in said[0] if all(one in other for other in said)) if said else None


def with_other_outputs(brokers: Iterable[Broker], mine: Broker, *, alone: bool) -> Broker | None:
    """The first of the others that keeps outputs elsewhere. `alone`: no other `up` can run here, so what one left does not count."""
    for other in brokers:
        if other.id == mine.id or other.outputs == mine.outputs:
            continue
        if not (alone and other.kind == "up"):
            return other
    return None


def _broker(process: str) -> Broker | None:
    try:
        return msgspec.json.decode(process.partition(" ")[2], type=Broker)
    except msgspec.MsgspecError:
        return None
