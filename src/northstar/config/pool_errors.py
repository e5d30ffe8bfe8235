"""What is wrong in a file of pools, as whoever wrote it understands it: the file, the table, the key, and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from northstar.domain.errors import InvalidRequest

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`")
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_PLACE: Final = re.compile(r"\[[^\]]*\]")


class InvalidPools(InvalidRequest):
    """A file of pools cannot be used. `table` and `key` are where the first problem stands; empty where it is the whole file's."""

    code = "NS_INVALID_POOLS"

    def __init__(self, problem: str, *, source: str, table: str = "", key: str = "") -> None:
        named = " ".join(filter(None, (f"[{table}]" if table else "", f"`{key}`" if key else "")))
        super().__init__(f"{source}: {named}{' ' if named else ''}{problem}")
        self.source = source
        self.table = table
        self.key = key
        self.problem = problem


class NoSuchPool(InvalidRequest):
    """There is no pool of this name."""

    code = "NS_NO_SUCH_POOL"

    def __init__(self, name: str, *, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no pool {name!r}; there are {', '.join(known) or 'none yet'}")
        self.name = name
        self.known = known


def told(exc: msgspec.ValidationError, *, table: str, kind: type[msgspec.Struct], source: str) -> InvalidPools:
    """The library's words about a table that should be a `kind`, as the place and what to do."""
    what, _, where = str(exc).partition(" - at `")
    is_key = where.startswith("key` in `")
    path = where.removeprefix("key` in `").strip("`").removeprefix("$").lstrip(".")
    if unknown := _UNKNOWN.fullmatch(what):
        known = _keys_of(_at(kind, path))
        alike = difflib.get_close_matches(unknown[1], known, n=1)
        hint = f"did you mean `{alike[0]}`?" if alike else f"take it out; known are {', '.join(known)}"
        return InvalidPools(f"is no setting; {hint}", source=source, table=_joined(table, path), key=unknown[1])
    if missing := _MISSING.fullmatch(what):
        return InvalidPools("is missing; add it", source=source, table=_joined(table, path), key=missing[1])
    if is_key:
        return InvalidPools(f"one of its names is not possible: {what}", source=source, table=_joined(table, path))
    inner, _, key = path.rpartition(".")
    choices = _words_of(_at(kind, path))
    hint = f"; it is one of {', '.join(choices)}" if choices else ""
    return InvalidPools(f"is not possible: {what}{hint}", source=source, table=_joined(table, inner), key=key)


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
