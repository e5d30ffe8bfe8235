"""Who may call which route: every route below `/v1` names its scope, and a key is looked at before anything else is.

A route that names none is refused when the application is made, so that no route can be open by mistake.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, get_args

from litestar.params import HeaderParameter

from northstar.broker.admission import TokenForeign
from northstar.domain.api_keys import Caller, KeyMissing, KeyUnreadable, Scope
from northstar.domain.tokens import TokenMalformed
from northstar.surfaces.http.v1.bodies import QueryInvalid

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

    from northstar.broker.keys import Keys
    from northstar.surfaces.http.callers import Door

Guard = Callable[["ASGIConnection[Any, Any, Any, Any]", "BaseRouteHandler"], Awaitable[None]]

_CALLER = "northstar_caller"
#: Arguments of handlers that are none of the address.
_RESERVED = frozenset({"body", "cookies", "data", "headers", "query", "request", "scope", "socket", "state"})


def scope_of(handler: BaseRouteHandler) -> Scope:
    """The scope that a route takes. Raises LookupError: it names none."""
    found: Scope | None = handler.opt.get("scope")
    if found is None:
        raise LookupError(f"{handler} names no scope")
    return found


def guard(keys: Keys, door: Door) -> Guard:
    """Lets a call through whose key has the scope of the route.

    Raises:
        KeyMissing, KeyUnreadable, ScopeMissing, TooManyWrongTokens, and what `Keys.authenticate` raises.
    """

    async def let_in(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        caller = await admitted(_text(connection), keys, door, connection)
        if not _is_librarys_own(handler):
            caller.expect(scope_of(handler))
        _expect_known(connection, handler)
        _expect_no_null(connection, handler)
        connection.state[_CALLER] = caller

    return let_in


async def admitted(text: str, keys: Keys, door: Door, connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Who shows this key.

    Raises:
        KeyUnreadable, TooManyWrongTokens, and what `Keys.authenticate` raises.
    """
    try:
        return await door.opened_for(connection).let_in(text, keys.authenticate)
    except (TokenMalformed, TokenForeign) as exc:
        raise KeyUnreadable(str(exc)) from exc


def caller_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Who was let in."""
    found = connection.state[_CALLER]
    assert isinstance(found, Caller)  # noqa: S101 - the guard has put it there
    return found


def _expect_known(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raises QueryInvalid: a parameter that the route does not have; passed over, a misspelt filter would mean everything."""
    if not connection.scope["query_string"]:
        return
    fields = handler.parsed_fn_signature.parameters
    known = {
        getattr(field.kwarg_definition, "name", None) or name
        for name, field in fields.items()
        if name not in _RESERVED and not isinstance(field.kwarg_definition, HeaderParameter)
    }
    for name in connection.query_params:
        if name not in known:
            alike = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{alike[0]}`?" if alike else f"there are {', '.join(sorted(known)) or 'none'}"
            raise QueryInvalid(f"`{name[:64]}` is no parameter of this; {hint}")


def _expect_no_null(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raises QueryInvalid: the word `null` stands where no text is wanted; the library would read it as if nothing were said."""
    if "null" not in connection.scope["query_string"].decode("latin-1"):
        return
    fields = handler.parsed_fn_signature.parameters
    for name, value in connection.query_params.multi_items():
        kinds = (fields[name].annotation, *get_args(fields[name].annotation)) if name in fields else (str,)
        if value == "null" and str not in kinds:
            raise QueryInvalid(f"`{name}` is not possible: it is left out where any is meant")


def _is_librarys_own(handler: BaseRouteHandler) -> bool:
    """Whether it is what the library answers OPTIONS with by itself: which methods there are, and nothing else."""
    return getattr(handler, "http_methods", None) == {"OPTIONS"} and "scope" not in handler.opt


def _text(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The key that is shown. Raises KeyMissing."""
    kind, _, text = (connection.headers.get("authorization") or "").partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        raise KeyMissing
    return text.strip()
