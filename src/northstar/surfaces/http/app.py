"""The application: routes, what they are given, and how errors leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Litestar
from litestar.exceptions import HTTPException

from northstar.domain.errors import NorthstarError
from northstar.surfaces.http.agents import link_route, output_route
from northstar.surfaces.http.callers import Door
from northstar.surfaces.http.health import live, ready_route
from northstar.surfaces.http.joining import join_route
from northstar.surfaces.http.problems import http_problem, problem

if TYPE_CHECKING:
    from northstar.assembly.front import AppParts


def make_app(parts: AppParts) -> Litestar:
    """The front of one process."""
    door = Door(parts.doorkeeper, trusted=parts.trusted_proxies)
    return Litestar(
        route_handlers=[
            live,
            ready_route(parts.pulse),
            link_route(parts.gateway, door),
            output_route(parts.outputs, door),
            join_route(parts.joining, door, parts.gateway.refusals, cell=parts.cell),
        ],
        exception_handlers={NorthstarError: problem, HTTPException: http_problem},
        request_max_body_size=parts.max_output_bytes,
        openapi_config=None,
        logging_config=None,
    )
