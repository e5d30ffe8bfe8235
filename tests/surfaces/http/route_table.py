"""The routes of the application, for tests that are made from them: one that is added later is tested without being named."""

from __future__ import annotations

from unittest.mock import MagicMock

from litestar import Litestar

from northstar.assembly.front import AppParts
from northstar.surfaces.http.app import make_app
from northstar.surfaces.http.description.routes import Route, SocketRoute, http_routes, socket_routes


def application() -> Litestar:
    """The application with nothing behind it: its routes are the real ones."""
    parts = MagicMock(spec=AppParts)
    parts.configure_mock(trusted_proxies=(), max_output_bytes=1_000, body_within_s=1.0, cell="c")
    return make_app(parts)


APPLICATION = application()
ROUTES: list[Route] = http_routes(APPLICATION)
SOCKETS: list[SocketRoute] = socket_routes(APPLICATION)
#: What clients are answered only with a key.
BEHIND_A_KEY: list[Route] = [route for route in ROUTES if route.scope is not None]


def name_of(route: Route | SocketRoute) -> str:
    return route.name if isinstance(route, SocketRoute) else f"{route.method} {route.path}"
