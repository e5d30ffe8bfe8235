"""What is wrong with a table `[services.NAME]`, as whoever wrote it understands it: which one, and what it may say instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from northstar.config.services import Service

#: What a service can be done by.
CONNECTORS: Final = tuple(sorted(str(kind.__struct_config__.tag) for kind in get_args(Service)))

_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`")


def service_problem(services: Mapping[str, Any]) -> str | None:
    """The first problem of the services, as a sentence; None if none of them has any by itself.

    >>> service_problem({"x": {"connector": "ollama"}})
    '[services.x]: `model` is missing'
    """
    for name, table in services.items():
        try:
            msgspec.convert(table, Service)
        except msgspec.ValidationError as exc:
            what, _, where = str(exc).partition(" - at `$")
            return f"[services.{name}]{_sentence(what, where.rstrip('`').lstrip('.'), table)}"
    return None


def _sentence(what: str, place: str, table: Any) -> str:
    at = f" {place}" if place else ""
    choices = ", ".join(CONNECTORS)
    if place == "connector" and isinstance(table, dict):
        return f" connector: {table.get('connector')!r} is not one of {choices}"
    if missing := _MISSING.fullmatch(what):
        hint = f"; it is one of {choices}" if missing[1] == "connector" else ""
        return f"{at}: `{missing[1]}` is missing{hint}"
    if unknown := _UNKNOWN.fullmatch(what):
        return f"{at}: there is no setting `{unknown[1]}`; check its spelling against docs/reference/configuration.md"
    return f"{at}: {what}"
