"""A program's arguments, filled from a job's payload by name; no shell ever sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from northstar.connectors.contract import Json
from northstar.connectors.errors import EngineRejected

_HOLE: Final = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}|[{}]")
MAX_VALUE_CHARS: Final = 8_192


class ArgumentTemplate:
    """A list of arguments with holes such as `{prompt}`; `{{` and `}}` are braces.

    A hole takes a string, a number or a boolean (`true`, `false`). A value must not make its argument look like an
    option: where a hole begins an argument, values with a leading `-` are refused unless the hole is in `may_lead_with_dash`.
    Give such a hole the form `--prompt={prompt}`, which takes any value.
    """

    def __init__(self, arguments: Sequence[str], *, may_lead_with_dash: frozenset[str] = frozenset()) -> None:
        """`arguments[0]` is the program and has no holes.

        Raises:
            ValueError: no program, a hole in the program, or a brace that is no hole.
        """
        if not arguments or not arguments[0]:
            raise ValueError("a command needs at least the program")
        self._arguments = tuple(arguments)
        self._may_lead_with_dash = may_lead_with_dash
        for argument in arguments:
            for match in _HOLE.finditer(argument):
                if match[0] in {"{", "}"}:
                    raise ValueError(f"a single brace in {argument!r}; write {{{{ or }}}} for a brace")
        if _holes(arguments[0]):
            raise ValueError("the program itself must not come from a job")

    @property
    def names(self) -> frozenset[str]:
        """The values that every job must bring."""
        return frozenset(name for argument in self._arguments for name in _holes(argument))

    def filled(self, payload: Mapping[str, Json], *, service: str) -> tuple[str, ...]:
        """The arguments for one job.

        Raises:
            EngineRejected: a value is missing, of the wrong kind, too long, or looks like an option.
        """
        return tuple(self._filled(argument, payload, service=service) for argument in self._arguments)

    def _filled(self, argument: str, payload: Mapping[str, Json], *, service: str) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name is None:
                return match[0][0]
            text = _text(name, payload, service=service)
            if match.start() == 0 and text.startswith("-") and name not in self._may_lead_with_dash:
                raise EngineRejected(f"`{name}` must not begin with a dash", service=service)
            return text

        return _HOLE.sub(value, argument)


def _holes(argument: str) -> list[str]:
    return [match[1] for match in _HOLE.finditer(argument) if match[1] is not None]


def _text(name: str, payload: Mapping[str, Json], *, service: str) -> str:
    value = payload.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        problem = "is missing" if name not in payload else "must be a string, a number or a boolean"
        raise EngineRejected(f"`{name}` {problem}", service=service)
    text = str(value)
    if len(text) > MAX_VALUE_CHARS or "\0" in text:
        raise EngineRejected(f"`{name}` must have at most {MAX_VALUE_CHARS} characters and no NUL", service=service)
    return text
