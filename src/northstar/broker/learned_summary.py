"""What brokers have learned of durations, as a document of the cell: for whoever submits to it, so that not each learns all runs again.

One document of at most 64 KiB, written anew at most every ten minutes, and only where something was learned since. It holds the keys that
matter to most jobs, and says up to which place of the history it knows: who can read that learns what came after it, anybody else goes by
what is as old as the document. Its version says whether it can be read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.errors import NorthstarError
from northstar.domain.refusals import DocumentChanged
from northstar.policy.routing.duration_summary import MOST_KEYS, pack, unpack
from northstar.store.documents import WantedDocument, put_documents, read_document
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.broker.durations import Durations
    from northstar.policy.routing.duration_summary import Learned
    from northstar.store.cell import Cell

log = logger(__name__)

_KIND: Final = "learned"
_NAME: Final = "durations"
#: How old a summary becomes before it is written anew, if there is anything new, seconds; and how soon after its start a broker looks.
EVERY_S: Final = 600.0
FIRST_S: Final = 20.0
#: A document takes 64 KiB, as text; packed bytes take four letters for three.
MOST_BYTES: Final = 48_000


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """What the document says: the packed summary."""

    packed: bytes


class LearnedSummary:
    """Keeps the summary of one cell. Any number of brokers may: who finds one that is fresh leaves it."""

    def __init__(
        self,
        cell: Cell,
        durations: Durations,
        *,
        every_s: float = EVERY_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cell = cell
        self._durations = durations
        self._every_s = every_s
        self._sleep = sleep
        self._told = 0

    async def run(self) -> None:
        """Until cancelled. A cell that does not answer, or has no room, is asked again later, with a line in the log."""
        await self._sleep(min(FIRST_S, self._every_s))
        while True:
            try:
                await self.turn()
            except NorthstarError as exc:
                log.warning("learned_durations_not_told", cell=self._cell.name, code=exc.code, error=str(exc))
            await self._sleep(self._every_s)

    async def turn(self) -> bool:
        """Write what is known now, if anything is new and nobody has just written; whether it did. Raises Unavailable, and a bound of the cell."""
        learned = self._durations.learned
        if learned == self._told:
            return False
        cell = self._cell
        known = await read_document(cell.client, cell.keys, _KIND, _NAME)
        now_ms = (await cell.inspect(())).now_ms
        if known is not None and 0 <= now_ms - known.at_ms < self._every_s * 500:
            return False
        summary = await self._durations.summary(most_keys=MOST_KEYS)
        body = _Body(packed=await asyncio.to_thread(pack, summary, most_bytes=MOST_BYTES))
        wanted = WantedDocument(
            kind=_KIND,
            name=_NAME,
            body=msgspec.json.encode(body).decode(),
            expected=0 if known is None else known.version,
        )
        try:
            await put_documents(cell, [wanted], by="durations")
        except DocumentChanged:  # another broker wrote in the same moment
            return False
        self._told = learned
        return True


async def read_learned(cell: Cell) -> tuple[Learned, int] | None:
    """The summary of the cell and when it was written, ms by the cell's clock; None where there is none that this version can read.

    Raises:
        Unavailable: the cell does not answer.
    """
    document = await read_document(cell.client, cell.keys, _KIND, _NAME)
    if document is None:
        return None
    try:
        learned = unpack(msgspec.json.decode(document.body, type=_Body).packed)
    except msgspec.MsgspecError:
        return None
    return None if learned is None else (learned, document.at_ms)
