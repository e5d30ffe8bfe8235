"""What whoever retires outputs writes down beside them, one small file a cell, so that all who use the store know it."""

from __future__ import annotations

import contextlib
import hashlib
import time
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.store.asset_places import Place

#: The name of the file; no asset can have it.
NOTE_NAME: Final = ".retention.json"
_MAX_BYTES: Final = 4_096
#: How long a note is believed without being read again, in seconds.
_BELIEVED_S: Final = 5.0
_MAX_CELLS: Final = 64


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with a cell's outputs."""

    #: Outputs up to this hour have gone, as far as their jobs were finished.
    retired_until: str = ""
    #: There is more than may be, and nothing that may go.
    is_full: bool = False
    #: Who looks after them, until when (ms since epoch, by the cell's clock).
    by: str = ""
    until_ms: int = 0


class Notes:
    """The notes of all cells of a store. Everything here blocks."""

    def __init__(self, place: Place, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._monotonic = monotonic
        self._read: dict[str, tuple[float, Note]] = {}

    def of(self, cell: str, *, fresh: bool = False) -> Note:
        """The cell's note; an empty one where there is none, or where it cannot be understood. Raises what the place raises."""
        known = self._read.get(cell)
        if known is not None and not fresh and self._monotonic() < known[0] + _BELIEVED_S:
            return known[1]
        note = Note()
        with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError), self._place.open(_key(cell)) as stream:
            note = msgspec.json.decode(stream.read(_MAX_BYTES), type=Note)
        self._remember(cell, note)
        return note

    def write(self, cell: str, note: Note) -> None:
        """Replace the cell's note. Raises what the place raises."""
        data = msgspec.json.encode(note)
        self._place.write(_key(cell), iter((data,)), sha256=hashlib.sha256(data).hexdigest())
        self._remember(cell, note)

    def _remember(self, cell: str, note: Note) -> None:
        self._read.pop(cell, None)
        while len(self._read) >= _MAX_CELLS:
            del self._read[next(iter(self._read))]
        self._read[cell] = (self._monotonic(), note)


def _key(cell: str) -> str:
    return f"{cell}/{NOTE_NAME}"
