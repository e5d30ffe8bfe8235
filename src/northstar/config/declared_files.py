"""Files in which operators declare something: reading one, and what is wrong in it as whoever wrote it understands it.

That is the file, the table, the key, and what to do.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from northstar.domain.errors import InvalidRequest

#: As large as such a file may be, bytes.
MAX_FILE_BYTES: Final = 1_000_000
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`")
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_PLACE: Final = re.compile(r"\[[^\]]*\]")


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
            raise error(f"has more than {MAX_FILE_BYTES} bytes; a few thousand are usual", source=str(file))
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
    what, _, where = str(exc).partition(" - at `")
    is_key = where.startswith("key` in `")
    path = where.removeprefix("key` in `").strip("`").removeprefix("$").lstrip(".")
    if unknown := _UNKNOWN.fullmatch(what):
        known = _keys_of(_at(kind, path))
        alike = difflib.get_close_matches(unknown[1], known, n=1)
        hint = f"did you mean `{alike[0]}`?" if alike else f"take it out; known are {', '.join(known)}"
        return error(f"is no setting; {hint}", source=source, table=_joined(table, path), key=unknown[1])
    if missing := _MISSING.fullmatch(what):
        return error("is missing; add it", source=source, table=_joined(table, path), key=missing[1])
    if is_key:
        return error(f"one of its names is not possible: {what}", source=source, table=_joined(table, path))
    inner, _, key = path.rpartition(".")
    choices = _words_of(_at(kind, path))
    hint = f"; it is one of {', '.join(choices)}" if choices else ""
    return error(f"is not possible: {what}{hint}", source=source, table=_joined(table, inner), key=key)


def _joined(table: str, path: str) -> str:
    return ".".join(filter(None, (table, path)))


def _at(kind: Any, path: str) -> Any:
    """The type that stands at a path such as `models.takes[0]`."""
    for name in filter(None, _PLACE.sub("", path).split(".")):
        struct = next(iter(_parts(kind, _is_struct)), None)
        fields = {field.name: field.type for field in msgspec.structs.fields(struct)} if struct else {}
        kind = fields.get(name)
    return kind


def _keys_of(kind: Any) -> list[str]:
    structs = _parts(kind, _is_struct)
    return list(structs[0].__struct_fields__) if structs else []


def _words_of(kind: Any) -> list[str]:
    return [str(word) for literal in _parts(kind, _is_literal) for word in get_args(literal)]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_literal(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is Literal


def _parts(kind: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    """The types inside a type for which `wanted` holds."""
    if wanted(kind):
        return [kind]
    return [found for part in get_args(kind) for found in _parts(part, wanted)]
