"""Documents: what operators declare for all processes of a cell, such as the models of the catalogue.

Changed by the function library only, each change with an event that says who did it, and a bell that everybody hears. Read plainly:
the whole of it is one hash, which carries its own version, so that whoever keeps some of it reads again only when that has moved.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

import msgspec

from northstar.domain.errors import Unavailable
from northstar.store.stored_records import UNREADABLE, StoredRecords
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from northstar.store.cell import Cell
    from northstar.store.keys import CellKeys

Value = TypeVar("Value")

#: Documents of one call.
MAX_PER_PUT: Final = 100
MAX_PER_DROP: Final = 500
_STATE: Final = b"state"
#: Reading fewer documents than this takes less than handing it to a thread pays.
_FEW: Final = 200


class DocumentUnreadable(Unavailable):
    """A document of the cell cannot be read by this version of North Star."""

    code: ClassVar[str] = "NS_DOCUMENT_UNREADABLE"
    retryable = False

    def __init__(self, kind: str, name: str, *, reason: str, is_replaceable: bool = False) -> None:
        """`is_replaceable`: its record is as this version knows it and only what it says is not, so another can be put in its place."""
        super().__init__(
            f"document {kind} {name} of the cell cannot be read ({reason}); perhaps a newer North Star wrote it: use that one here"
        )
        self.kind = kind
        self.name = name
        self.is_replaceable = is_replaceable


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it stands. `version` is that of the cell's documents when it was last changed, so no two are alike."""

    kind: str
    name: str
    version: int
    body: str
    by: str
    at_ms: int


class WantedDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a document shall say, JSON. With `expected`, only if it still has that version; 0: only if there is none."""

    kind: str
    name: str
    body: str
    expected: int | None = None


class NamedDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document that shall go; with `expected`, only if it still has that version."""

    kind: str
    name: str
    expected: int | None = None


class PutReply(msgspec.Struct, frozen=True):
    """The version of the cell's documents; and of each that was put its version, and whether that changed anything."""

    version: int
    documents: list[tuple[int, bool]]


class DropReply(msgspec.Struct, frozen=True):
    """The version of the cell's documents; and of each named whether there was one."""

    version: int
    dropped: list[bool]


class _Record(msgspec.Struct, frozen=True, array_like=True):
    """A document as it is packed; positions as `ns.D` in `lua/shared/records.lua`."""

    version: int
    body: str
    by: str
    at_ms: int


class _Declared(msgspec.Struct, frozen=True):
    """All documents of a cell as they were read: packed, by kind and name; `state` is what tells them from any other state."""

    state: bytes
    fields: Mapping[bytes, bytes]

    def of(self, kind: str) -> list[tuple[bytes, bytes]]:
        """Name and packed record of each document of this kind."""
        prefix = kind.encode() + b"\0"
        return [(field[len(prefix) :], value) for field, value in self.fields.items() if field.startswith(prefix)]


_records = StoredRecords()
_read_record = msgspec.msgpack.Decoder(_Record).decode


async def put_documents(cell: Cell, documents: Sequence[WantedDocument], *, by: str) -> PutReply:
    """Keep all of them (at most 100) or none. One that says the same already stays as it is, so the call may be repeated.

    Raises:
        DocumentChanged: one of them has another version than its `expected`.
        DocumentTooLarge, TooManyDocuments, DocumentsTooLarge: a bound of the cell.
    """
    return await cell.call("put_documents", {"documents": documents, "by": by}, PutReply)


async def drop_documents(cell: Cell, documents: Sequence[NamedDocument], *, by: str) -> DropReply:
    """Forget all of them (at most 500) or none; those that are gone already are no refusal. Raises DocumentChanged."""
    return await cell.call("drop_documents", {"documents": documents, "by": by}, DropReply)


async def read_documents(client: ValkeyClient, keys: CellKeys, kind: str) -> dict[str, Document]:
    """All documents of a kind by name; those that this version cannot read are left out. Raises Unavailable."""
    declared = await _read(client, keys)
    return _records.read(keys["documents"], declared.of(kind), lambda name, packed: _document(kind, name, packed))


async def read_document(client: ValkeyClient, keys: CellKeys, kind: str, name: str) -> Document | None:
    """One document; None only where there is none.

    Raises:
        DocumentUnreadable: this version cannot read it. Unavailable: the server does not answer.
    """
    try:
        packed: Any = await client.execute_command("HGET", keys["documents"], f"{kind}\0{name}".encode())
    except FAULTS as exc:
        raise translate(exc) from exc
    try:
        return None if packed is None else _document(kind, name, packed)
    except UNREADABLE as exc:
        raise DocumentUnreadable(kind, name, reason=str(exc)[:200]) from exc


def _document(kind: str, name: str, packed: bytes) -> Document:
    record = _read_record(packed)
    return Document(kind=kind, name=name, version=record.version, body=record.body, by=record.by, at_ms=record.at_ms)


async def _read(client: ValkeyClient, keys: CellKeys) -> _Declared:
    try:
        answer: Any = await client.execute_command("HGETALL", keys["documents"])
    except FAULTS as exc:
        raise translate(exc) from exc
    fields = dict(answer)
    return _Declared(fields.pop(_STATE, b""), fields)


class DocumentsView(Generic[Value]):
    """The documents of one kind, as `decode` reads them, kept by one process and read again only when something has changed.

    `refresh` costs one short read while nothing has; call it when the bell rang (`bells.DocumentsChanged`, `bells.Connected`), and
    now and then. What `decode` cannot read (it raises a ValueError, a MsgspecError) is left out, with a line in the log.
    """

    def __init__(self, client: ValkeyClient, keys: CellKeys, kind: str, *, decode: Callable[[Document], Value]) -> None:
        self._client = client
        self._keys = keys
        self._kind = kind
        self._decode = decode
        # Not the version alone: a server that lost its last second may count to the same number twice.
        self._state: bytes | None = None
        self._packed: dict[bytes, bytes] = {}
        self._values: dict[str, Value] = {}

    @property
    def values(self) -> Mapping[str, Value]:
        """By name, as of the last `refresh`; the mapping is never changed, another one takes its place."""
        return self._values

    async def refresh(self) -> bool:
        """Whether something of this kind has changed since it was last asked. Raises Unavailable; what was read before stays."""
        try:
            state: Any = await self._client.execute_command("HGET", self._keys["documents"], _STATE)
        except FAULTS as exc:
            raise translate(exc) from exc
        if self._state is not None and (state or b"") == self._state:
            return False
        declared = await _read(self._client, self._keys)
        packed = dict(declared.of(self._kind))
        changed = self._state is None or packed != self._packed
        if changed:
            few = len(packed) <= _FEW
            self._values = self._read_all(packed) if few else await asyncio.to_thread(self._read_all, packed)
            self._packed = packed
        self._state = declared.state
        return changed

    def _read_all(self, packed: Mapping[bytes, bytes]) -> dict[str, Value]:
        """What has stayed the same is not decoded anew."""
        known, before = self._values, self._packed

        def value(name: str, text: bytes) -> Value:
            if name in known and before.get(name.encode()) == text:
                return known[name]
            return self._decode(_document(self._kind, name, text))

        return _records.read(self._keys["documents"], packed.items(), value)
