"""The pools of a cell that hold now: those that an operator has applied, else those that the process was given.

Applied pools are a document of the cell, the text of the file itself, so every process hears of a change at once and none needs the file.
Those that held before are kept beside it, the latest twenty.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
import structlog

from northstar.config.pool_errors import InvalidPools
from northstar.config.pools import PACKAGED, packaged_pools, read_pools_text
from northstar.domain.errors import NorthstarError, Refused
from northstar.store.bells import Connected, DocumentsChanged
from northstar.store.documents import (
    Document,
    NamedDocument,
    WantedDocument,
    drop_documents,
    put_documents,
    read_document,
    read_documents,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.domain.pools import Pools
    from northstar.store.bells import Ring
    from northstar.store.cell import Cell

log = structlog.get_logger(__name__)

_KIND: Final = "pools"
_CURRENT: Final = "current"
_PAST: Final = "pools-past"
#: Former pools that are kept.
KEPT: Final = 20


class NothingApplied(Refused):
    """No pools were applied to the cell, so there are none to take back."""

    code: ClassVar[str] = "NS_NO_POOLS_APPLIED"

    def __init__(self) -> None:
        super().__init__(
            "no pools were applied to this cell, so there are none to take back; what holds: northstar pools list"
        )


class NoSuchPools(Refused):
    """The cell has no pools of this version any more."""

    code: ClassVar[str] = "NS_NO_SUCH_POOLS"

    def __init__(self, version: int) -> None:
        super().__init__(f"the cell keeps no pools of version {version}; those that it keeps: northstar pools history")
        self.version = version


class AppliedPools(msgspec.Struct, frozen=True, kw_only=True):
    """Pools that were applied: the text of their file, by whom and when. `version` is that of their document."""

    text: str
    source: str
    version: int = 0
    by: str = ""
    at_ms: int = 0

    def read(self) -> Pools:
        """The pools. Raises InvalidPools when this version of North Star cannot use them."""
        return read_pools_text(self.text, source=self.source)


class _Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a document of pools says. Of former ones also their own version, by whom they had been applied, and when."""

    text: str
    source: str
    version: int = 0
    by: str = ""
    at_ms: int = 0


def _applied(document: Document) -> AppliedPools:
    try:
        body = msgspec.json.decode(document.body, type=_Body)
    except msgspec.MsgspecError as exc:
        raise InvalidPools(
            f"is no document of pools: {exc}", source=f"{document.kind} {document.name} of the cell"
        ) from exc
    return AppliedPools(
        text=body.text,
        source=body.source,
        version=body.version or document.version,
        by=body.by or document.by,
        at_ms=body.at_ms or document.at_ms,
    )


async def read_applied(cell: Cell) -> AppliedPools | None:
    """The pools that were applied to the cell; None if none were. Raises Unavailable."""
    document = await read_document(cell.client, cell.keys, _KIND, _CURRENT)
    return None if document is None else _applied(document)


async def read_past(cell: Cell) -> list[AppliedPools]:
    """Those that held before, the latest first. Raises Unavailable."""
    documents = (await read_documents(cell.client, cell.keys, _PAST)).values()
    return sorted(map(_applied, documents), key=lambda one: one.version, reverse=True)


async def read_version(cell: Cell, version: int) -> AppliedPools:
    """The pools of this version, applied or former. Raises NoSuchPools, Unavailable."""
    current = await read_applied(cell)
    kept = [*([] if current is None else [current]), *await read_past(cell)]
    found = next((one for one in kept if one.version == version), None)
    if found is None:
        raise NoSuchPools(version)
    return found


async def apply_pools(cell: Cell, text: str, *, source: str, known: AppliedPools | None, by: str) -> int:
    """Put pools in force, for every process of the cell; gives their version. `known` are those that the caller has seen in force.

    Raises:
        InvalidPools: they cannot be used; nothing has changed.
        DocumentChanged: others were applied since the caller looked.
        DocumentTooLarge, TooManyDocuments, DocumentsTooLarge: a bound of the cell.
    """
    read_pools_text(text, source=source)
    body = msgspec.json.encode(_Body(text=text, source=source)).decode()
    expected = 0 if known is None else known.version
    wanted = [WantedDocument(kind=_KIND, name=_CURRENT, body=body, expected=expected), *_former(known)]
    reply = await put_documents(cell, wanted, by=by)
    await _forget_the_oldest(cell, by=by)
    version, _ = reply.documents[0]
    return version


async def take_back_pools(cell: Cell, known: AppliedPools, *, by: str) -> None:
    """Let the pools hold again that each process was given. Raises DocumentChanged when others were applied since the caller looked."""
    if former := _former(known):
        await put_documents(cell, former, by=by)
    await drop_documents(cell, [NamedDocument(kind=_KIND, name=_CURRENT, expected=known.version)], by=by)
    await _forget_the_oldest(cell, by=by)


def _former(known: AppliedPools | None) -> list[WantedDocument]:
    if known is None:
        return []
    body = _Body(text=known.text, source=known.source, version=known.version, by=known.by, at_ms=known.at_ms)
    return [WantedDocument(kind=_PAST, name=str(known.version), body=msgspec.json.encode(body).decode())]


async def _forget_the_oldest(cell: Cell, *, by: str) -> None:
    gone = [NamedDocument(kind=_PAST, name=str(one.version)) for one in (await read_past(cell))[KEPT:]]
    if gone:
        await drop_documents(cell, gone, by=by)


class PoolsInForce:
    """The pools that hold for one process. Whoever listens to the cell's bells passes them to `hear`; `run` looks then, and now and then.

    Applied pools that this process cannot use, because a newer version wrote them, change nothing: those that held before go on.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        otherwise: Pools | None = None,
        look_every_s: float = 5.0,
        changed: Callable[[Pools], Awaitable[None]] | None = None,
    ) -> None:
        """`otherwise` hold where none are applied; without it, those that come with North Star. `changed` is told by `run` of others."""
        self._changed = changed
        self._cell = cell
        self._otherwise = otherwise or packaged_pools()
        self._every_s = look_every_s
        self._due = asyncio.Event()
        self._applied: AppliedPools | None = None
        #: Applied pools that this process cannot use, so that they are named once.
        self._unusable: AppliedPools | None = None
        self._latest = self._otherwise

    @property
    def latest(self) -> Pools:
        """As of the last look."""
        return self._latest

    @property
    def version(self) -> int:
        """Version of those that are applied; 0 while none are."""
        return 0 if self._applied is None else self._applied.version

    @property
    def source(self) -> str:
        """From where they are, for people."""
        if self._applied is None:
            return PACKAGED if self._otherwise == packaged_pools() else "the settings"
        return f"{self._applied.source}, applied by {self._applied.by}"

    async def look(self) -> bool:
        """See what holds now; whether that has changed. Raises Unavailable when the cell does not answer."""
        applied = await read_applied(self._cell)
        if applied == self._applied or (applied is not None and applied == self._unusable):
            return False
        if applied is not None:
            try:
                self._latest = await asyncio.to_thread(applied.read)
            except InvalidPools as exc:
                self._unusable = applied
                log.warning(
                    "pools_not_used",
                    cell=self._cell.name,
                    version=applied.version,
                    error=str(exc),
                    now="those before hold",
                )
                return False
        else:
            self._latest = self._otherwise
        self._applied = applied
        log.info("pools_hold", cell=self._cell.name, version=self.version, source=self.source)
        return True

    def hear(self, ring: Ring) -> None:
        """Have `run` look at once if something may have changed."""
        if isinstance(ring, (DocumentsChanged, Connected)):
            self._due.set()

    async def run(self) -> None:
        """Look whenever a bell rang, and every few seconds, until cancelled. A cell that does not answer is asked again."""
        while True:
            try:
                if await self.look() and self._changed is not None:
                    await self._changed(self._latest)
            except NorthstarError as exc:
                log.warning("pools_not_read", cell=self._cell.name, code=exc.code, error=str(exc))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._due.wait()
            self._due.clear()
