"""YAML as scenarios use it: plain data with the line of every key.

It is read more strictly than YAML allows, since a file that is misunderstood is worse than one that is refused: a key may stand only once, words
such as `no` and `on` are words, and there are neither anchors nor tags, with which a small file can become a huge one.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple, TypeAlias

from northstar.simulation.scenario.errors import InvalidScenario, ScenarioReaderMissing

#: Keys and places in lists on the way to a value.
Path: TypeAlias = tuple[str | int, ...]
#: Objects and lists within each other.
_MAX_DEPTH: Final = 20
_INT: Final = re.compile(r"[-+]?[0-9](_?[0-9])*")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9](_?[0-9])*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, Any]] = {"": None, "~": None, "null": None, "true": True, "false": False}


class Document(NamedTuple):
    """Plain data, and on which line each key and each element of a list stands."""

    data: Any
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int | None:
        """The line of a key, or of the nearest one around it that is there."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def read_document(text: str, *, source: str) -> Document:
    """Read a text; `source` says in errors where it comes from.

    Raises:
        InvalidScenario: it is no YAML, or YAML that scenarios do not use. ScenarioReaderMissing: nothing is installed that reads it.
    """
    try:
        import yaml  # noqa: PLC0415 -- of an extra
    except ImportError as exc:
        raise ScenarioReaderMissing from exc
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = None if mark is None else mark.line + 1
        raise InvalidScenario(f"is not valid YAML: {exc.problem or exc.context}", source=source, line=line) from exc
    except yaml.YAMLError as exc:
        raise InvalidScenario(f"is not valid YAML: {exc}", source=source) from exc
    return _Reader(events, source=source).document()


class _Reader:
    """Takes a document from the events of a parser, one after the other."""

    def __init__(self, events: list[Any], *, source: str) -> None:
        self._events = iter(events)
        self._source = source
        self._lines: dict[Path, int] = {}

    def document(self) -> Document:
        """The one document of the text."""
        found: list[Any] = []
        for event in self._events:
            match type(event).__name__:
                case "StreamStartEvent" | "StreamEndEvent" | "DocumentEndEvent":
                    continue
                case "DocumentStartEvent" if found:
                    raise self._invalid("begins a second document; a scenario is one", event)
                case "DocumentStartEvent":
                    found.append(self._value(next(self._events), ()))
        if not found or found[0] is None:
            raise InvalidScenario("is empty", source=self._source)
        return Document(found[0], self._lines)

    def _value(self, event: Any, path: Path) -> Any:
        self._lines.setdefault(path, event.start_mark.line + 1)
        if len(path) > _MAX_DEPTH:
            raise self._invalid(f"is nested more than {_MAX_DEPTH} deep", event)
        kind = type(event).__name__
        if kind == "AliasEvent" or event.anchor is not None:
            raise self._invalid("has an anchor (& or *), which scenarios do not use; write it out", event, path)
        if event.tag is not None and not (kind == "ScalarEvent" and event.tag == "!"):
            raise self._invalid(f"has the tag {event.tag}, which scenarios do not use; take it out", event, path)
        match kind:
            case "MappingStartEvent":
                return self._object(path)
            case "SequenceStartEvent":
                return self._list(path)
            case _:
                return _scalar(event.value) if event.style is None else event.value

    def _object(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in self._events:
            if type(event).__name__ == "MappingEndEvent":
                break
            if type(event).__name__ != "ScalarEvent" or event.anchor is not None or event.tag is not None:
                raise self._invalid("has a key that is no plain word", event, path)
            key = event.value
            if key in found:
                raise self._invalid("stands twice; take one out", event, (*path, key))
            if key == "<<":
                raise self._invalid("merges another object (<<), which scenarios do not use; write it out", event, path)
            self._lines[*path, key] = event.start_mark.line + 1
            found[key] = self._value(next(self._events), (*path, key))
        return found

    def _list(self, path: Path) -> list[Any]:
        found: list[Any] = []
        for event in self._events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            found.append(self._value(event, (*path, len(found))))
        return found

    def _invalid(self, problem: str, event: Any, path: Path = ()) -> InvalidScenario:
        return InvalidScenario(problem, source=self._source, line=event.start_mark.line + 1, path=written(path))


def _scalar(text: str) -> Any:
    """What a plain word means: by the core schema of YAML 1.2, without octal and hexadecimal numbers, infinity and not-a-number.

    >>> _scalar("no"), _scalar("12"), _scalar("1e-3"), _scalar("12h"), _scalar("null")
    ('no', 12, 0.001, '12h', None)
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) < 300:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) and len(text) < 300 else text


def written(path: Path) -> str:
    """A path as people write it.

    >>> written(("fleet", "groups", 0, "count"))
    'fleet.groups[0].count'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def parts(path: str) -> Path:
    """A written path, taken apart.

    >>> parts("fleet.groups[0].count")
    ('fleet', 'groups', 0, 'count')
    """
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path))
