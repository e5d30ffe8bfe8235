"""Files in which operators declare something: reading one, and what is wrong in it as whoever wrote it understands it.

That is the file, the table, the key, and what to do.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec

from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest
from northstar.domain.misfits import misfit

#: As large as such a file may be, bytes.
MAX_FILE_BYTES: Final = 1_000_000


class InvalidFile(InvalidRequest):
    """A file cannot be used. `table` and `key` are where the first problem stands; empty where it is the whole file's."""

    def __init__(self, problem: str, *, source: str, table: str = "", key: str = "") -> None:
        named = " ".join(filter(None, (f"[{table}]" if table else "", f"`{key}`" if key else "")))
        super().__init__(f"{source}: {named}{' ' if named else ''}{problem}")
        self.source = source
        self.table = table
        self.key = key
        self.problem = problem


def read_text(file: Path, *, error: type[InvalidFile]) -> str:
    """The text of a file. Raises `error` when it cannot be read, or is larger than such a file may be."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise error(f"has more than {exactly(MAX_FILE_BYTES)}; a few thousand are usual", source=str(file))
        return raw.decode()
    except OSError as exc:
        raise error(f"cannot be read: {exc.strerror}", source=str(file)) from exc
    except UnicodeDecodeError as exc:
        raise error(f"is not valid TOML: {exc}", source=str(file)) from exc


def read_toml(text: str, *, source: str, error: type[InvalidFile]) -> dict[str, Any]:
    """The tables of a text; `source` says in errors where it comes from. Raises `error` when it is no TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise error(f"is not valid TOML: {exc}", source=source) from exc


def told(
    exc: msgspec.ValidationError, *, table: str, kind: type[msgspec.Struct], source: str, error: type[InvalidFile]
) -> InvalidFile:
    """The library's words about a table that should be a `kind`, as the place and what to do."""
    found = misfit(exc, kind)
    place = ".".join(filter(None, (table, found.place)))
    return error(found.problem, source=source, table=place, key=found.key)
