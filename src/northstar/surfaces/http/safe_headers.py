"""What every answer says to browsers: guess no types, tell no other site where somebody came from, keep nothing, run nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar.datastructures import MutableScopeHeaders
from litestar.routes import HTTPRoute

if TYPE_CHECKING:
    from litestar.routes import BaseRoute
    from litestar.types import Message, Scope

#: A route that knows better says so itself.
_USUAL: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Answers are of one key's tenant; what a proxy or a browser keeps is shown to others. Files of jobs may be pages that strangers wrote.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}


async def tell_methods(message: Message, scope: Scope) -> None:
    """Name all methods of a path to whoever asks by OPTIONS: the library's own answer knows only those that were registered first."""
    if message["type"] != "http.response.start" or scope.get("method") != "OPTIONS" or message["status"] != 204:
        return
    place = scope.get("path_template")
    found = {
        method for route in scope["litestar_app"].routes if route.path_format == place for method in _methods(route)
    }
    MutableScopeHeaders.from_message(message)["Allow"] = ", ".join(sorted(found))


def _methods(route: BaseRoute) -> set[str]:
    return set(route.methods) if isinstance(route, HTTPRoute) else set()


async def make_safe(message: Message, _scope: Scope) -> None:
    """Give an answer the headers that it does not have yet."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in _USUAL.items():
            headers.setdefault(name, value)
