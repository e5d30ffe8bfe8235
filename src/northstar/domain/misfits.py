"""Where given data is not what its type says, in the words of whoever wrote it: the place, the key, and what to do.

The library that reads TOML and JSON says `Object contains unknown field `x` - at `$.a.b``; people want to know what they meant.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from northstar.domain.amounts import length, memory, size
from northstar.domain.plain_words import plain_words

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`")
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_BOUND: Final = re.compile(r"[<>]=? ([0-9]+)$")
#: Keys whose unit is none that people reckon in, by how they end.
_IN_WORDS: Final[dict[str, Callable[[int], str]]] = {"_ms": length, "_bytes": size, "_mb": memory}
_INDEX: Final = re.compile(r"\[[^\]]*\]")
#: As many names are listed; of more, whoever reads has a page.
_MOST_LISTED: Final = 20
#: Tables within tables that are searched for a key that stands in the wrong one.
_DEPTH: Final = 4


class Misfit(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing that does not fit. `place` is the path of the object around it, empty at the top; `key` the name in it."""

    place: str
    key: str
    sort: Literal["unknown", "missing", "name", "value"]
    #: What is wrong with it.
    words: str
    #: What to write instead; empty where nobody can tell.
    hint: str = ""
    #: What a key is called.
    what: str = "setting"

    @property
    def path(self) -> str:
        """Place and key as one writes them, such as `requires.vram_mb`."""
        return ".".join(filter(None, (self.place, self.key)))

    @property
    def problem(self) -> str:
        """What follows the name in a sentence."""
        match self.sort:
            case "unknown":
                return f"is no {self.what}; {self.hint}"
            case "missing":
                return "is missing; add it"
            case "name":
                return f"one of its names is not possible: {self.words}"
            case "value":
                return f"is not possible: {self.words}" + (f"; {self.hint}" if self.hint else "")


def misfit(exc: msgspec.ValidationError, kind: Any, *, what: str = "setting") -> Misfit:
    """What the library's error about data that should be a `kind` means. `what` is what a key is called.

    >>> class Job(msgspec.Struct, forbid_unknown_fields=True):
    ...     priority: int = 0
    >>> try:
    ...     _ = msgspec.convert({"prioritty": 1}, Job)
    ... except msgspec.ValidationError as exc:
    ...     misfit(exc, Job, what="field").problem
    'is no field; did you mean `priority`?'
    """
    words, _, where = str(exc).partition(" - at `")
    is_key = where.startswith("key` in `")
    path = where.removeprefix("key` in `").strip("`").removeprefix("$").lstrip(".")
    if unknown := _UNKNOWN.fullmatch(words):
        hint = _instead(unknown[1], kind, path)
        return Misfit(place=path, key=unknown[1], sort="unknown", words=words, hint=hint, what=what)
    if missing := _MISSING.fullmatch(words):
        return Misfit(place=path, key=missing[1], sort="missing", words=words, what=what)
    if is_key:
        return Misfit(place=path, key="", sort="name", words=plain_words(words), what=what)
    inner, _, key = path.rpartition(".")
    choices = choices_of(_at(kind, path))
    hint = f"it is one of {', '.join(choices)}" if choices else ""
    return Misfit(place=inner, key=key, sort="value", words=plain_words(_with_unit(words, key)), hint=hint, what=what)


def misfit_told(exc: msgspec.ValidationError, kind: Any, *, what: str = "field") -> str:
    """The same as a sentence: the path, and what is wrong there."""
    found = misfit(exc, kind, what=what)
    return f"`{found.path}` {found.problem}" if found.path else found.words


def alike(name: str, known: list[str]) -> str | None:
    """The known name that was meant, most likely; None if none is near."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def _with_unit(words: str, key: str) -> str:
    """A bound of a number whose unit stands in its key, also in a unit that people use.

    >>> _with_unit("Expected `int` >= 1000", "lease_ms"), _with_unit("Expected `int` <= 65536", "max_body_bytes")
    ('Expected `int` >= 1000 (1 s)', 'Expected `int` <= 65536 (65.5 kB)')
    """
    bound = _BOUND.search(words)
    shown = next((show for ending, show in _IN_WORDS.items() if key.endswith(ending)), None)
    return words if bound is None or shown is None else f"{words} ({shown(int(bound[1]))})"


def _instead(name: str, kind: Any, path: str) -> str:
    """What to write in place of an unknown name: the same in its own table, one that is spelt alike, or one of a short list."""
    known = _keys_of(_at(kind, path))
    near = alike(name, known)
    if near is not None:
        return f"did you mean `{near}`?"
    elsewhere = [one for one in _paths_of(kind) if one.rpartition(".")[2] == name]
    if elsewhere:
        return f"did you mean `{elsewhere[0]}`?"
    if len(known) <= _MOST_LISTED:
        return f"take it out; known are {', '.join(known)}"
    return "take it out, or check its spelling"


def _paths_of(kind: Any, depth: int = _DEPTH) -> Iterator[str]:
    """Every key of a struct and of those in it, with dots between; what is in lists and by names is left out, since it has no one place."""
    struct = next(iter(_parts(kind, _is_struct)), None)
    if struct is None or depth == 0:
        return
    for field in msgspec.structs.fields(struct):
        yield field.name
        if _is_struct(field.type):
            yield from (f"{field.name}.{inner}" for inner in _paths_of(field.type, depth - 1))


def _at(kind: Any, path: str) -> Any:
    """The type that stands at a path such as `models.takes[0]`."""
    for name in filter(None, _INDEX.sub("", path).split(".")):
        struct = next(iter(_parts(kind, _is_struct)), None)
        fields = {field.name: field.type for field in msgspec.structs.fields(struct)} if struct else {}
        kind = fields.get(name)
    return kind


def _keys_of(kind: Any) -> list[str]:
    structs = _parts(kind, _is_struct)
    return list(structs[0].__struct_fields__) if structs else []


def choices_of(kind: Any) -> list[str]:
    """The words of which a value of this type is one; none where it is no such choice."""
    words = [str(word) for literal in _parts(kind, _is_literal) for word in get_args(literal)]
    return words + [str(choice.value) for choices in _parts(kind, _is_enum) for choice in choices]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_literal(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is Literal


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _parts(kind: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    """The types inside a type for which `wanted` holds."""
    if wanted(kind):
        return [kind]
    return [found for part in get_args(kind) for found in _parts(part, wanted)]
