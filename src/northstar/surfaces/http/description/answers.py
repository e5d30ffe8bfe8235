"""Which answers a route can give beside the one that it is for: each status with the codes that a problem of it may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from northstar.domain.api_keys import Scope
from northstar.domain.errors import NorthstarError
from northstar.surfaces.http.description.routes import Route
from northstar.surfaces.http.problems import OF_THE_FRONT, status_of_kind

#: What a key may be refused with.
OF_KEYS: Final = (
    "NS_KEY_EXPIRED",
    "NS_KEY_MISSING",
    "NS_KEY_UNKNOWN",
    "NS_KEY_UNREADABLE",
    "NS_SCOPE_MISSING",
    "NS_TOO_MANY_WRONG_TOKENS",
)
#: What a body may be refused with.
OF_BODIES: Final = (
    "NS_BODY_CUT_OFF",
    "NS_BODY_INVALID",
    "NS_BODY_TOO_LARGE",
    "NS_BODY_TOO_SLOW",
    "NS_MALFORMED_BODY",
)
#: What a path may name that is not there.
_OF_PATHS: Final = {
    "job": "NS_NO_SUCH_JOB",
    "key": "NS_NO_SUCH_KEY",
    "machine": "NS_NO_SUCH_MACHINE",
    "model": "NS_NO_SUCH_MODEL",
    "webhook": "NS_NO_SUCH_WEBHOOK",
    "delivery": "NS_NO_SUCH_DELIVERY",
}
#: What the store may say to any call.
OF_THE_STORE: Final = (
    "NS_CELL_MISSING",
    "NS_CELL_NOT_OPEN",
    "NS_CLUSTER_DOWN",
    "NS_CONNECTIONS_EXHAUSTED",
    "NS_VALKEY_AUTH",
    "NS_VALKEY_BUSY",
    "NS_VALKEY_GONE",
    "NS_VALKEY_LOADING",
    "NS_VALKEY_READ_ONLY",
    "NS_VALKEY_REFUSED",
    "NS_VALKEY_TIMEOUT",
)
#: What whoever reads the history may be told of it.
OF_THE_HISTORY: Final = (
    "NS_HISTORY_BUSY",
    "NS_HISTORY_DAMAGED",
    "NS_HISTORY_DISK_FULL",
    "NS_HISTORY_GONE",
    "NS_HISTORY_LOCKED",
    "NS_HISTORY_MISMATCH",
    "NS_HISTORY_REFUSED",
    "NS_HISTORY_TOO_NEW",
)
_OF_FRONT_CODE: Final = {code: status for status, (code, _) in OF_THE_FRONT.items()}


def codes_of(route: Route) -> dict[int, tuple[str, ...]]:
    """The codes that a route can answer with, by status; a status without codes is one whose codes are the error's own."""
    found: dict[int, dict[str, None]] = {}
    for code in _codes(route):
        found.setdefault(status_of_code(code), {})[code] = None
    if route.scope is not None and route.method != "GET":
        found.setdefault(409, {})
    if route.scope is not None and (route.parameters or route.body is not None):
        found.setdefault(422, {})
    return {status: tuple(sorted(codes)) for status, codes in sorted(found.items())}


def _codes(route: Route) -> Iterator[str]:
    yield from route.codes
    yield "NS_FAULT"
    if route.parameters or route.body is not None:
        yield "NS_INVALID_REQUEST"
    if any(one.name == "cursor" for one in route.parameters):
        yield "NS_CURSOR_INVALID"
    if route.body is not None:
        yield from OF_BODIES
    if route.reads_history:
        yield from OF_THE_HISTORY
    if route.scope is not None:
        yield from _codes_behind_a_key(route)


def _codes_behind_a_key(route: Route) -> Iterator[str]:
    yield from OF_KEYS
    yield from OF_THE_STORE
    yield "NS_QUERY_INVALID"  # whatever it takes, of what it does not know it says so
    if route.scope is Scope.MACHINE:
        yield "NS_KEY_OF_ONE_TENANT"
    if _names_tenant(route):
        yield "NS_TENANT_FOREIGN"
    for one in route.parameters:
        if one.place == "path":
            yield _OF_PATHS.get(one.name, "NS_NO_SUCH_PATH")


def status_of_code(code: str) -> int:
    """The status of an error by its code. Raises LookupError: no error has it."""
    if code in _OF_FRONT_CODE:
        return _OF_FRONT_CODE[code]
    for kind in all_kinds():
        if kind.code == code:
            return status_of_kind(kind)
    raise LookupError(f"no error has the code {code}")


def all_kinds(kind: type[NorthstarError] = NorthstarError) -> list[type[NorthstarError]]:
    """Every class of error that is loaded."""
    found = {leaf: None for child in kind.__subclasses__() for leaf in (child, *all_kinds(child))}
    return list(found)


def _names_tenant(route: Route) -> bool:
    if any(one.name == "tenant" for one in route.parameters):
        return True
    if route.body is None:
        return False
    _, parts = msgspec.json.schema_components([route.body])
    return any("tenant" in _properties(part) for part in parts.values())


def _properties(schema: Any) -> dict[str, Any]:
    found: dict[str, Any] = schema.get("properties", {})
    return found
