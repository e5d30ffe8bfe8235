"""Data that should be a struct: what is wrong in it, in the words of whoever wrote it, down to the key and what may stand there."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from northstar.domain.misfits import alike
from northstar.simulation.fleet.lengths import length_hook
from northstar.simulation.scenario.yaml_text import Path, parts

Kind = TypeVar("Kind")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`")
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")


class Wrong(NamedTuple):
    """The first thing that does not fit: at which key, and what to say of it."""

    path: Path
    problem: str


class DoesNotFit(Exception):
    """The data is not what it should be."""

    def __init__(self, wrong: Wrong) -> None:
        super().__init__(wrong.problem)
        self.wrong = wrong


def shaped(data: Any, kind: type[Kind], at: Path = ()) -> Kind:
    """The data as a `kind`. Raises DoesNotFit: it is none; `at` is where it stands."""
    _check_named(data, kind, at)
    try:
        return msgspec.convert(data, kind, dec_hook=length_hook)
    except msgspec.ValidationError as exc:
        wrong = _wrong(exc, kind, data)
        raise DoesNotFit(Wrong((*at, *wrong.path), wrong.problem)) from exc


def _check_named(data: Any, kind: Any, at: Path) -> None:
    """Look at each value that an object holds by names, since the library does not say under which name something is wrong."""
    if not isinstance(data, dict) or not _is_struct(kind):
        return
    for field in msgspec.structs.fields(kind):
        value = data.get(field.encode_name)
        for one in _options(field.type):
            if get_origin(one) is dict and isinstance(value, dict):
                names, values = get_args(one)
                for key, inner in value.items():
                    place = (*at, field.encode_name, key)
                    try:
                        msgspec.convert(key, names)
                    except msgspec.ValidationError as exc:
                        raise DoesNotFit(Wrong(place, f"is no name that is possible here: {exc}")) from exc
                    shaped(inner, values, place)
            else:
                _check_named(value, one, (*at, field.encode_name))


def _wrong(exc: msgspec.ValidationError, kind: Any, data: Any) -> Wrong:
    words, _, where = str(exc).partition(" - at `")
    path = parts(where.rstrip("`").removeprefix("$").lstrip("."))
    if unknown := _UNKNOWN.fullmatch(words):
        known = keys_of(_at(kind, data, path))
        near = alike(unknown[1], known)
        hint = f"did you mean `{near}`?" if near else f"take it out; known are {', '.join(known)}"
        return Wrong((*path, unknown[1]), f"is no key; {hint}")
    if missing := _MISSING.fullmatch(words):
        choices = _choices(_at(kind, data, path), missing[1])
        return Wrong((*path, missing[1]), "is missing; add it" + (f": one of {choices}" if choices else ""))
    choices = _choices(_at(kind, data, path[:-1]), str(path[-1])) if path else ""
    choices = choices or ", ".join(_literals(_at(kind, data, path)))
    return Wrong(path, f"is not possible: {words}" + (f"; it is one of {choices}" if choices else ""))


def _at(kind: Any, data: Any, path: Path) -> list[Any]:
    """The types that may stand at a path of the data."""
    found = _fitting(_options(kind), data)
    for part in path:
        found = [option for one in found for option in _inside(one, part)]
        data = _value(data, part)
        found = _fitting(found, data)
    return found


def _inside(kind: Any, part: str | int) -> list[Any]:
    if isinstance(part, int):
        return _options(get_args(kind)[0]) if get_origin(kind) in {tuple, list} else []
    if get_origin(kind) is dict:
        return _options(get_args(kind)[1])
    if not _is_struct(kind):
        return []
    return [
        option for field in msgspec.structs.fields(kind) if field.encode_name == part for option in _options(field.type)
    ]


def _value(data: Any, part: str | int) -> Any:
    if isinstance(part, int):
        return data[part] if isinstance(data, list) and part < len(data) else None
    return data.get(part) if isinstance(data, dict) else None


def _fitting(options: list[Any], data: Any) -> list[Any]:
    """Of several structs, the one that the data says it is by its tag; all of them if it says none."""
    tagged = [one for one in options if _is_struct(one) and one.__struct_config__.tag_field]
    if not tagged or not isinstance(data, dict):
        return options
    return [one for one in tagged if data.get(one.__struct_config__.tag_field) == one.__struct_config__.tag] or options


def _choices(options: list[Any], key: str) -> str:
    """What may stand at a key that tells structs apart."""
    tags = [one.__struct_config__.tag for one in options if _is_struct(one) and one.__struct_config__.tag_field == key]
    return ", ".join(str(tag) for tag in tags)


def _literals(options: list[Any]) -> list[str]:
    return [str(word) for one in options if get_origin(one) is Literal for word in get_args(one)]


def _options(kind: Any) -> list[Any]:
    """The types of a union, without what is annotated to them."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0])
    if get_origin(kind) in {None, tuple, list, dict, Literal}:
        return [kind]
    return [option for one in get_args(kind) for option in _options(one)]


def keys_of(options: list[Any]) -> list[str]:
    """The keys that objects of these structs have."""
    found: dict[str, None] = {}
    for one in options:
        if _is_struct(one):
            if one.__struct_config__.tag_field:
                found[one.__struct_config__.tag_field] = None
            found.update((field.encode_name, None) for field in msgspec.structs.fields(one))
    return list(found)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
