"""What is said no to about a cell itself: that it is there, whole, on the right clock, and read by the right library."""

from __future__ import annotations

from northstar.domain.errors import InvalidRequest, NorthstarError, Refused, Unavailable
from northstar.domain.refusals.root import QueueRefusal


class TooManyWords(QueueRefusal, Refused):
    """The vocabulary is bounded."""

    code = "NS_TOO_MANY_WORDS"
    sentence = "the cell knows {limit:word}, as many as it may; withdraw some or raise max_words"


class TooManyPauses(QueueRefusal, Refused):
    """Pauses are bounded."""

    code = "NS_TOO_MANY_PAUSES"
    sentence = "{limit:scope} are paused, as many as may be; resume some: northstar status"


class CellMissing(QueueRefusal, Unavailable):
    """The cell was never opened, or its data is gone."""

    code = "NS_CELL_MISSING"
    sentence = (
        "nothing was ever opened here: there is no cell ({key} is empty). A broker opens it: start `northstar serve` or `northstar up` "
        "with the same --valkey and --cell, and see whether both are right; if the cell existed before, find out where its data went"
    )


class CellNotOpen(QueueRefusal, Unavailable):
    """The server has started, or has become the primary, since the cell was opened; it is opened again by itself."""

    code = "NS_CELL_NOT_OPEN"
    sentence = "the cell ({key}) has not been opened since its server started; open it and repeat the call"


class CellDamaged(QueueRefusal, Unavailable):
    """Part of a cell is there without the rest."""

    code = "NS_CELL_DAMAGED"
    sentence = (
        "the cell is damaged ({key}): some keys exist without the others; restore a backup or remove what is left"
    )
    retryable = False


class ClockMismatch(QueueRefusal, Refused):
    """A cell runs on one clock for ever."""

    code = "NS_CLOCK_MISMATCH"
    sentence = "the cell runs on the {cell} clock, not on the {asked} one; use another cell name"


class ClockArgument(QueueRefusal, InvalidRequest):
    """Time is the server's on a live cell, the caller's on a virtual one."""

    code = "NS_CLOCK_ARGUMENT"
    sentence = (
        "the cell runs on the {clock} clock: a live cell takes no time from callers, a virtual one needs ms since 1970"
    )


class SchemaUnsupported(QueueRefusal, Unavailable):
    """The cell's data has another layout."""

    code = "NS_SCHEMA_UNSUPPORTED"
    sentence = (
        "the cell has schema {cell}, this North Star reads schema {library}; run a version that reads both to migrate"
    )
    retryable = False


class LibraryChanged(QueueRefusal, Unavailable):
    """Another library is loaded under our name."""

    code = "NS_LIBRARY_CHANGED"
    sentence = (
        "the server runs another build of the function library ({loaded}, this process has {caller}); "
        "restart from the same build everywhere, or raise the newer build's library version"
    )
    retryable = False


class HistoryElsewhere(QueueRefusal, Refused):
    """The cell has another history; a second one would make the cell forget what the first has not read."""

    code = "NS_HISTORY_ELSEWHERE"
    sentence = (
        "the events of this cell go to another history, {place} (said {host}); set history.url to that one, or, to go on "
        "here instead, stop all brokers of the cell and start one with --take-history"
    )


class RightsMissing(QueueRefusal, Unavailable):
    """The server's access list forbids the user a command that the library needs; found when the cell is opened."""

    code = "NS_RIGHTS_MISSING"
    sentence = (
        "the user of this connection may not run {command} on this cell; give it all commands on the keys and the channels "
        "of North Star: ACL SETUSER <name> ~ns:* &ns:* +@all"
    )
    retryable = False


class BadArgument(QueueRefusal, InvalidRequest):
    """A field of a call has the wrong type or size."""

    code = "NS_BAD_ARGUMENT"
    sentence = "field {field} of the call is not what the function takes"


class KeysMismatch(QueueRefusal, InvalidRequest):
    """Caller and library disagree about a function's keys."""

    code = "NS_KEYS_MISMATCH"
    sentence = "the function takes {want} keys and got {got}; caller and library are of different builds"


class LibraryFault(QueueRefusal, NorthstarError):
    """A fault in the function library itself. Nothing was written."""

    code = "NS_LIBRARY_FAULT"
    sentence = "the function library failed in {function}; nothing was changed; please report it with the server's log"
