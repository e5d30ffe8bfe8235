"""Files that operators have applied to a cell: the one in force and the latest former ones, for each kind of file.

Such a file is a document of the cell, the text itself with its comments, so every process hears of a change at once and none needs the
file.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from northstar.store.documents import (
    Document,
    DocumentUnreadable,
    NamedDocument,
    WantedDocument,
    drop_documents,
    put_documents,
    read_document,
    read_documents,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.store.cell import Cell

Value = TypeVar("Value")

_CURRENT: Final = "current"
#: Former files of a kind that are kept.
KEPT: Final = 20


class AppliedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was applied: its text, from where it came, by whom and when. `version` is that of its document."""

    text: str
    source: str
    version: int = 0
    by: str = ""
    at_ms: int = 0


class UnreadableFile(msgspec.Struct, frozen=True, kw_only=True):
    """One that stands in force and whose document this version cannot read. Another can be put in its place; it is kept as it is written."""

    body: str
    version: int
    by: str
    at_ms: int
    source: str = "what this version cannot read"


class _Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the document says. Of a former file also its own version, by whom it had been applied, and when."""

    text: str
    source: str
    version: int = 0
    by: str = ""
    at_ms: int = 0


def _applied(document: Document) -> AppliedFile:
    try:
        body = msgspec.json.decode(document.body, type=_Body)
    except msgspec.MsgspecError as exc:
        raise DocumentUnreadable(document.kind, document.name, reason=str(exc), is_replaceable=True) from exc
    return AppliedFile(
        text=body.text,
        source=body.source,
        version=body.version or document.version,
        by=body.by or document.by,
        at_ms=body.at_ms or document.at_ms,
    )


class AppliedFiles(Generic[Value]):
    """Those of one kind in one cell: `pools`, or `tenants`."""

    def __init__(self, cell: Cell, kind: str, *, read: Callable[[AppliedFile], Value]) -> None:
        """`read` gives what a file says, and raises InvalidFile when this version of North Star cannot use it."""
        self.cell = cell
        self.kind = kind
        self.read = read
        self._past = f"{kind}-past"

    async def current(self) -> AppliedFile | None:
        """The one in force; None if none was applied. Raises DocumentUnreadable, Unavailable."""
        document = await self._document()
        return None if document is None else _applied(document)

    async def standing(self) -> AppliedFile | UnreadableFile | None:
        """The one in force, for whoever puts another in its place. Raises Unavailable; DocumentUnreadable only where nobody can replace it."""
        document = await self._document()
        if document is None:
            return None
        try:
            return _applied(document)
        except DocumentUnreadable:
            return UnreadableFile(body=document.body, version=document.version, by=document.by, at_ms=document.at_ms)

    async def _document(self) -> Document | None:
        return await read_document(self.cell.client, self.cell.keys, self.kind, _CURRENT)

    async def past(self) -> list[AppliedFile]:
        """Those that were in force before, the latest first, as far as this version can read them. Raises Unavailable."""
        found = []
        for document in (await read_documents(self.cell.client, self.cell.keys, self._past)).values():
            # One that only a newer version can read holds up nobody who applies another.
            with contextlib.suppress(DocumentUnreadable):
                found.append(_applied(document))
        return sorted(found, key=lambda one: one.version, reverse=True)

    async def of_version(self, version: int) -> AppliedFile | None:
        """The one of this version, in force or former; None if it is not kept. Raises DocumentUnreadable, Unavailable."""
        standing = await self.standing()
        if standing is not None and standing.version == version:
            return await self.current()
        return next((one for one in await self.past() if one.version == version), None)

    async def apply(self, text: str, *, source: str, known: AppliedFile | UnreadableFile | None, by: str) -> int:
        """Put a text in force, for every process of the cell; gives its version. `known` is what the caller has seen in force.

        Raises:
            InvalidFile: it cannot be used; nothing has changed.
            DocumentChanged: another was applied since the caller looked.
            DocumentTooLarge, TooManyDocuments, DocumentsTooLarge: a bound of the cell.
        """
        self.read(AppliedFile(text=text, source=source))
        body = msgspec.json.encode(_Body(text=text, source=source)).decode()
        expected = 0 if known is None else known.version
        wanted = [WantedDocument(kind=self.kind, name=_CURRENT, body=body, expected=expected), *self._former(known)]
        reply = await put_documents(self.cell, wanted, by=by)
        await self._forget_the_oldest(by=by)
        version, _ = reply.documents[0]
        return version

    async def take_back(self, known: AppliedFile | UnreadableFile, *, by: str) -> None:
        """Have none in force; it is kept among the former ones. Raises DocumentChanged when another was applied since the caller looked."""
        await put_documents(self.cell, self._former(known), by=by)
        await drop_documents(self.cell, [NamedDocument(kind=self.kind, name=_CURRENT, expected=known.version)], by=by)
        await self._forget_the_oldest(by=by)

    def _former(self, known: AppliedFile | UnreadableFile | None) -> list[WantedDocument]:
        if known is None:
            return []
        if isinstance(known, UnreadableFile):
            encoded = known.body
        else:
            body = _Body(text=known.text, source=known.source, version=known.version, by=known.by, at_ms=known.at_ms)
            encoded = msgspec.json.encode(body).decode()
        return [WantedDocument(kind=self._past, name=str(known.version), body=encoded)]

    async def _forget_the_oldest(self, *, by: str) -> None:
        # Also those that this version cannot read; the name of each is its version.
        names = await read_documents(self.cell.client, self.cell.keys, self._past)
        oldest = sorted(names, key=lambda name: int(name) if name.isdecimal() else 0, reverse=True)[KEPT:]
        gone = [NamedDocument(kind=self._past, name=name) for name in oldest]
        if gone:
            await drop_documents(self.cell, gone, by=by)
