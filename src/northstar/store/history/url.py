"""The address of a history database: a SQLite file, or PostgreSQL."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from northstar.store.history.errors import HistoryUrlInvalid

_SECRET = re.compile(r"//[^/@]*@")


class HistoryUrl(msgspec.Struct, frozen=True):
    """`path` is set for SQLite, `server` for PostgreSQL. `shown` is without secrets."""

    shown: str
    path: Path | None = None
    server: URL | None = None


def parse_history_url(url: str) -> HistoryUrl:
    """Understand `sqlite:////PATH` or `postgresql://…`.

    Raises:
        HistoryUrlInvalid: It is neither, or a database that would not outlive the process.
    """
    shown = _SECRET.sub("//***@", url[:200])
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as exc:
        raise HistoryUrlInvalid(url=shown, reason="it cannot be parsed") from exc
    match parsed.drivername:
        case "sqlite":
            return HistoryUrl(shown=shown, path=_file_of(parsed, shown))
        case "postgresql" | "postgres" | "postgresql+psycopg":
            server = parsed.set(drivername="postgresql+psycopg")
            return HistoryUrl(shown=_redacted(server), server=server)
        case other:
            raise HistoryUrlInvalid(url=shown, reason=f"{other!r} is not supported")


def _file_of(parsed: URL, shown: str) -> Path:
    if parsed.host or parsed.query:
        raise HistoryUrlInvalid(url=shown, reason="a file takes neither a host nor parameters")
    if parsed.database in {None, "", ":memory:"}:
        raise HistoryUrlInvalid(url=shown, reason="it names no file, and history must outlive the process")
    return Path(str(parsed.database)).absolute()


def _redacted(server: URL) -> str:
    # Parameters may hold secrets too (`sslpassword`), so none of them are shown.
    return server.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
