"""What can be wrong with the history database; one class for each thing a person can do about it.

    Unavailable
    ├── HistoryGone, HistoryBusy, HistoryLocked       wait, or look at the database
    ├── HistoryDiskFull                               make room
    ├── HistoryRefused, HistoryDamaged                look at the database; trying again does not help
    ├── HistoryTooNew, HistoryDriverMissing           install what is named
    ├── HistoryForeign                                the database belongs to another cell of that name
    └── HistoryMismatch                               so it seems, or the cell is an older copy
    InvalidRequest
    ├── HistoryUrlInvalid
    └── HistoryQueryInvalid

No sentence ever holds a password: addresses are redacted before they come here.
"""

from __future__ import annotations

from northstar.domain.errors import InvalidRequest, Unavailable
from northstar.domain.events import EventId


class HistoryGone(Unavailable):
    """The database does not answer, or its file is not there. Whether a transaction in flight was kept is unknown."""

    code = "NS_HISTORY_GONE"

    def __init__(self, *, place: str, reason: str) -> None:
        super().__init__(f"the history at {place} does not answer: {reason}. Events wait in the cell until it does")
        self.place = place
        self.reason = reason


class HistoryBusy(Unavailable):
    """As many of this process read the history as may, and none of them ended soon enough. Events are written down all the same."""

    code = "NS_HISTORY_BUSY"

    def __init__(self, *, place: str, readers: int, waited_s: float) -> None:
        super().__init__(
            f"{readers} others read the history at {place}, and none of them ended within {waited_s:g} s; "
            "come back, or ask for less at a time"
        )
        self.place = place


class HistoryLocked(Unavailable):
    """Somebody else held the database, or a row of it, for longer than we wait."""

    code = "NS_HISTORY_LOCKED"

    def __init__(self, *, place: str, reason: str) -> None:
        super().__init__(f"the history at {place} is held by another program: {reason}. Look for a long transaction")
        self.place = place
        self.reason = reason


class HistoryDiskFull(Unavailable):
    """The database cannot grow. It takes rows again by itself once there is room."""

    code = "NS_HISTORY_DISK_FULL"

    def __init__(self, *, place: str, reason: str) -> None:
        super().__init__(f"the history at {place} has no room left: {reason}. Make room on its disk, or prune it")
        self.place = place
        self.reason = reason


class HistoryRefused(Unavailable):
    """The database refused for a reason that has no class of its own; its sentence is kept."""

    code = "NS_HISTORY_REFUSED"
    retryable = False

    def __init__(self, *, place: str, reason: str) -> None:
        super().__init__(f"the history at {place} refused us: {reason}. Check address, user, password and rights")
        self.place = place
        self.reason = reason


class HistoryDamaged(Unavailable):
    """The file is no database, or a broken one."""

    code = "NS_HISTORY_DAMAGED"
    retryable = False

    def __init__(self, *, place: str, reason: str) -> None:
        super().__init__(f"the history at {place} cannot be read: {reason}. Move it away or restore a copy of it")
        self.place = place
        self.reason = reason


class HistoryTooNew(Unavailable):
    """A later version of North Star has changed the tables; this one would not understand them."""

    code = "NS_HISTORY_TOO_NEW"
    retryable = False

    def __init__(self, *, place: str, found: str, known: str) -> None:
        super().__init__(
            f"the history at {place} has revision {found}; this version of North Star knows up to {known}: "
            "install the version that wrote it, or a later one"
        )
        self.place = place
        self.found = found
        self.known = known


class HistoryDriverMissing(Unavailable):
    """PostgreSQL needs a driver that the lean installation leaves out."""

    code = "NS_HISTORY_DRIVER_MISSING"
    retryable = False

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"history in PostgreSQL needs the extra 'postgres' ({reason}); run: pip install 'northstar-broker[postgres]'"
        )
        self.reason = reason


class HistoryMismatch(Unavailable):
    """Cell and history do not continue each other. Nothing is written, so that neither is spoilt."""

    code = "NS_HISTORY_MISMATCH"
    retryable = False

    def __init__(self, *, place: str, cell: str, offset: EventId, reason: str) -> None:
        super().__init__(
            f"the history at {place} has cell {cell!r} up to event {offset}, but {reason}: the cell was made anew, or is "
            "an older copy; give it another history database or another name"
        )
        self.place = place
        self.cell = cell
        self.offset = offset
        self.reason = reason


class HistoryForeign(Unavailable):
    """The database has the history of another cell that has, or had, the same name."""

    code = "NS_HISTORY_FOREIGN"
    retryable = False

    def __init__(self, *, place: str, cell: str) -> None:
        super().__init__(
            f"the history at {place} is that of another cell named {cell!r}: this one was made anew, or is on another server. "
            "Move that history away, set history.url to another database, or give this cell another name"
        )
        self.place = place
        self.cell = cell


class HistoryUrlInvalid(InvalidRequest):
    """The address of the history cannot be understood. `url` is without its secrets."""

    code = "NS_HISTORY_URL_INVALID"

    def __init__(self, *, url: str, reason: str) -> None:
        super().__init__(
            f"{url!r} is not the address of a history database: {reason}; "
            "use sqlite:////PATH/history.db or postgresql://USER@HOST/DATABASE"
        )
        self.url = url
        self.reason = reason


class HistoryQueryInvalid(InvalidRequest):
    """A page was asked for with a cursor or bound that cannot be."""

    code = "NS_HISTORY_QUERY_INVALID"

    def __init__(self, *, field: str, reason: str) -> None:
        super().__init__(f"{field} of the query on the history cannot be used: {reason}")
        self.field = field
        self.reason = reason
