"""Records as they lie in a cell, read one by one: what this version cannot read is left out, and costs nobody else anything.

Versions live side by side during an upgrade, so a record may come from a newer one. Each is named once in the log, not at every look.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

import msgspec

from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Value = TypeVar("Value")

log = logger(__name__)

#: Records remembered as named; the one named longest ago is forgotten first.
MAX_NAMED = 1_000
#: What reading a record may raise when it is not as this version knows it.
UNREADABLE = (msgspec.MsgspecError, ValueError, LookupError, RecursionError)


class StoredRecords:
    """Reads the records of cells for one process, and knows which unreadable ones it has named already."""

    def __init__(self) -> None:
        self._named: OrderedDict[tuple[bytes, bytes, int], None] = OrderedDict()

    def read(
        self, key: bytes, raw: Iterable[tuple[bytes, bytes]], decode: Callable[[str, bytes], Value]
    ) -> dict[str, Value]:
        """What `decode` (name, bytes) makes of each field of the hash at `key`; unreadable ones are left out."""
        found: dict[str, Value] = {}
        for field, value in raw:
            try:
                name = field.decode()
                found[name] = decode(name, value)
            except UNREADABLE as exc:
                self._name(key, field, value, exc)
        return found

    def _name(self, key: bytes, field: bytes, value: bytes, exc: Exception) -> None:
        told = (key, field, hash(value))
        if told in self._named:
            return
        self._named[told] = None
        while len(self._named) > MAX_NAMED:
            self._named.popitem(last=False)
        log.warning(
            "record_left_out",
            key=key.decode(errors="replace"),
            field=field[:128].decode(errors="replace"),
            error=str(exc)[:500],
            hint="this version cannot read it; perhaps a newer one wrote it",
        )


def numbered(raw: Mapping[bytes, bytes]) -> Iterable[tuple[bytes, bytes]]:
    """The records of a hash that numbers things, without the entries 'k' + text that lead to the numbers (plain ASCII)."""
    return ((field, value) for field, value in raw.items() if not (field.startswith(b"k") and value[:1] < b"\x80"))
