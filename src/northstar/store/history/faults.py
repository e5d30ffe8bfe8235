"""From what the database library raises to errors that say what to do."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from northstar.domain.errors import NorthstarError, Unavailable
from northstar.store.history import errors

#: Everything a transaction may raise on account of the database or the way to it.
FAULTS: Final = (SQLAlchemyError, sqlite3.Error, OSError)

_Kind = (
    type[errors.HistoryGone]
    | type[errors.HistoryLocked]
    | type[errors.HistoryDiskFull]
    | type[errors.HistoryDamaged]
    | type[errors.HistoryRefused]
)

#: Primary result codes of SQLite (https://www.sqlite.org/rescode.html).
_BY_SQLITE_CODE: Final[dict[int, _Kind]] = {
    sqlite3.SQLITE_FULL: errors.HistoryDiskFull,
    sqlite3.SQLITE_BUSY: errors.HistoryLocked,
    sqlite3.SQLITE_LOCKED: errors.HistoryLocked,
    sqlite3.SQLITE_CANTOPEN: errors.HistoryGone,
    sqlite3.SQLITE_IOERR: errors.HistoryGone,
    sqlite3.SQLITE_CORRUPT: errors.HistoryDamaged,
    sqlite3.SQLITE_NOTADB: errors.HistoryDamaged,
}

#: SQLSTATEs of PostgreSQL, whole or by class (its manual, appendix A). Longer ones decide first.
_BY_SQLSTATE: Final[dict[str, _Kind]] = {
    "08": errors.HistoryGone,  # connection exception
    "40": errors.HistoryLocked,  # serialisation failure, deadlock
    "53100": errors.HistoryDiskFull,
    "53": errors.HistoryGone,  # out of memory, too many connections
    "55P03": errors.HistoryLocked,  # lock_timeout
    "57014": errors.HistoryLocked,  # statement_timeout
    "57P": errors.HistoryGone,  # shut down, crashed, starting
    "58": errors.HistoryGone,  # the system below it failed
    "XX": errors.HistoryDamaged,  # data or index corrupted
}


def translate(exc: BaseException, *, place: str) -> NorthstarError:
    """The typed error for anything in `FAULTS`; to be used as `raise … from exc`. An error of ours stays as it is."""
    if isinstance(exc, NorthstarError):
        return exc
    cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    sentence = " ".join(str(cause).split()).rstrip(".")[:500] or type(cause).__name__
    if isinstance(exc, PoolTimeout):
        return errors.HistoryLocked(place=place, reason="every connection to it is in use")
    return _make(cause, place=place, reason=sentence)


def _make(cause: BaseException, *, place: str, reason: str) -> Unavailable:
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return _BY_SQLITE_CODE.get(code, errors.HistoryRefused)(place=place, reason=reason)
    if isinstance(cause, OSError):
        return errors.HistoryGone(place=place, reason=reason)
    state = getattr(cause, "sqlstate", None) or ""
    if not state and type(cause).__name__ == "OperationalError" and "authentication failed" not in reason:
        # The connection could not be made or broke; then there is no SQLSTATE to read.
        return errors.HistoryGone(place=place, reason=reason)
    kinds = [_BY_SQLSTATE[state[:size]] for size in (5, 3, 2) if state[:size] in _BY_SQLSTATE]
    return (kinds[0] if kinds else errors.HistoryRefused)(place=place, reason=reason)
