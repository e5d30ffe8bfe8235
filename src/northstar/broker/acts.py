"""Who did what to a machine, where the cell's own event of it does not say who.

That a machine drains, or was removed, is an event without a name. So whoever has it done says so first, by a document that is put and dropped
again: its two events stay, each with the name, and the cell keeps nothing. The reader of acts (`broker.audit`) tells the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from northstar.domain.errors import NorthstarError
from northstar.domain.refusals import DocumentsTooLarge, TooManyDocuments
from northstar.store.documents import NamedDocument, WantedDocument, drop_documents, put_documents
from northstar.store.errors import OutOfMemory
from northstar.telemetry import logger

if TYPE_CHECKING:
    from northstar.store.cell import Cell

log = logger(__name__)

ACTS: Final = "act"
Act: TypeAlias = Literal["machine.drain", "machine.undrain", "machine.remove"]


async def drain(cell: Cell, machine: str, *, draining: bool, by: str, nonce: str) -> None:
    """Give the machine no new work, or give it work again. Raises NoSuchMachine, Unavailable."""
    await cell.pending_orders(machine)  # one that is not there is told before anything is noted
    await _note(cell, "machine.drain" if draining else "machine.undrain", machine, by=by, nonce=nonce)
    await cell.drain_machine(machine, draining=draining, nonce=nonce)


async def remove(cell: Cell, machine: str, *, by: str, nonce: str) -> int:
    """Forget a machine that is gone; gives how many jobs went back to the front of their lanes, uncharged. Raises NoSuchMachine, Unavailable."""
    await cell.pending_orders(machine)
    await _note(cell, "machine.remove", machine, by=by, nonce=nonce)
    return await cell.remove_machine(machine, because=f"removed by {by}"[:200], lost=False, nonce=nonce)


async def _note(cell: Cell, act: Act, machine: str, *, by: str, nonce: str) -> None:
    """Leave the events. Where documents have no room left the log has it: an operator must be able to act all the same."""
    name = f"{act}:{machine}"
    body = msgspec.json.encode(
        {"nonce": nonce}
    ).decode()  # or what an unfinished note has left would be the same, and no event
    try:
        await put_documents(cell, [WantedDocument(kind=ACTS, name=name, body=body)], by=by)
        await drop_documents(cell, [NamedDocument(kind=ACTS, name=name)], by=by)
    except (TooManyDocuments, DocumentsTooLarge, OutOfMemory) as exc:
        _log(cell, act, machine, by=by, fault=exc)


def _log(cell: Cell, act: Act, machine: str, *, by: str, fault: NorthstarError) -> None:
    log.warning("act_not_noted", cell=cell.name, act=act, machine=machine, by=by, code=fault.code, error=str(fault))
