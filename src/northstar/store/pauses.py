"""Which parts of a cell are paused, and by whom. Plain reads.

A pause that stands for a spent budget can be taken over by an operator: it stays, and a document of the cell says whose it is now. So nothing is
given out in between, as it would be if one pause were ended for another. The document names the pause by the time at which it began, so that one
that is left over speaks of no other pause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.domain.budgets import NORTH_STAR
from northstar.store.documents import (
    DocumentUnreadable,
    NamedDocument,
    WantedDocument,
    drop_documents,
    put_documents,
    read_document,
)
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.store.cell import Cell
    from northstar.store.keys import CellKeys

#: The kind of the documents that say whose a pause is now; their names are scopes.
TAKEN_OVER: Final = "pause"


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A scope ('cell' or 'pool:NAME') of which nothing is given out, since when, why, and by whom."""

    scope: str
    since_ms: int
    because: str
    by: str


class _Takeover(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator says of a pause that began at this time."""

    since_ms: int
    because: str


async def take_over(cell: Cell, pause: Pause, *, because: str, by: str) -> None:
    """Have a pause be somebody's own from now on: it stays as it is, and ends when that one ends it.

    Raises:
        TooManyDocuments, DocumentsTooLarge: a bound of the cell. Unavailable: it does not answer.
    """
    body = msgspec.json.encode(_Takeover(since_ms=pause.since_ms, because=because)).decode()
    await put_documents(cell, [WantedDocument(kind=TAKEN_OVER, name=pause.scope, body=body)], by=by)


async def give_up(cell: Cell, scope: str, *, by: str) -> None:
    """Have no pause of the scope be anybody's own. Raises Unavailable."""
    if await read_document(cell.client, cell.keys, TAKEN_OVER, scope) is not None:
        await drop_documents(cell, [NamedDocument(kind=TAKEN_OVER, name=scope)], by=by)


async def as_taken_over(client: ValkeyClient, keys: CellKeys, pause: Pause) -> Pause:
    """A pause in the name of whoever has taken it over; itself where nobody has. Raises as `read_pauses`."""
    found = await read_document(client, keys, TAKEN_OVER, pause.scope)
    if found is None:
        return pause
    try:
        said = msgspec.json.decode(found.body, type=_Takeover)
    except msgspec.MsgspecError as exc:
        raise DocumentUnreadable(TAKEN_OVER, pause.scope, reason=str(exc)[:200]) from exc
    if said.since_ms != pause.since_ms:
        return pause
    return msgspec.structs.replace(pause, because=said.because, by=found.by)


async def read_pauses(client: ValkeyClient, keys: CellKeys) -> list[Pause]:
    """All pauses by scope, each in the name of whoever has it now.

    Raises:
        Unavailable: the server does not answer. DocumentUnreadable: nobody can say whose one is.
    """
    try:
        answer: Any = await client.execute_command("HGETALL", keys["pauses"])
    except FAULTS as exc:
        raise translate(exc) from exc
    pauses = []
    for scope, packed in dict(answer).items():
        since_ms, because, by = msgspec.msgpack.decode(packed, type=tuple[int, str, str])
        pause = Pause(scope=scope.decode(), since_ms=since_ms, because=because, by=by)
        pauses.append(await as_taken_over(client, keys, pause) if by == NORTH_STAR else pause)
    return sorted(pauses, key=lambda pause: pause.scope)
