"""What is wrong with a table `[services.NAME]`, as whoever wrote it understands it: which one, and what it may say instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from northstar.config.services import Service
from northstar.domain.misfits import alike, misfit

_KINDS: Final = {str(kind.__struct_config__.tag): kind for kind in get_args(Service)}
#: What a service can be done by.
CONNECTORS: Final = tuple(sorted(_KINDS))


def service_problem(services: Mapping[str, Any]) -> str | None:
    """The first problem of the services, as a sentence; None if none of them has any by itself.

    >>> service_problem({"x": {"connector": "ollama"}})
    '[services.x]: `model` is missing'
    """
    for name, table in services.items():
        try:
            msgspec.convert(table, Service)
        except msgspec.ValidationError as exc:
            return f"[services.{name}]{_sentence(exc, table)}"
    return None


def _sentence(exc: msgspec.ValidationError, table: Any) -> str:
    choices = ", ".join(CONNECTORS)
    connector = table.get("connector") if isinstance(table, dict) else None
    found = misfit(exc, _KINDS.get(str(connector), Service))
    if found.path == "connector" and connector is not None:
        near = alike(str(connector), list(CONNECTORS))
        hint = f"; did you mean {near!r}?" if near else ""
        return f" connector: {connector!r} is not one of {choices}{hint}"
    at = f" {found.place}" if found.place else ""
    match found.sort:
        case "missing":
            hint = f"; it is one of {choices}" if found.key == "connector" else ""
            return f"{at}: `{found.key}` is missing{hint}"
        case "unknown":
            return f"{at}: there is no setting `{found.key}`; {found.hint}"
        case _:
            said = f"{found.words}; {found.hint}" if found.hint else found.words
            return f" {found.path}: {said}" if found.path else f": {said}"
