"""The application: routes, what they are given, and how errors leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Litestar, Router
from litestar.exceptions import HTTPException

from northstar.domain.errors import NorthstarError
from northstar.surfaces.http.agents import link_route, output_route
from northstar.surfaces.http.callers import Door
from northstar.surfaces.http.description.shown import description_routes
from northstar.surfaces.http.health import live_route, ready_route
from northstar.surfaces.http.joining import join_route
from northstar.surfaces.http.live.pages import dashboard_routers
from northstar.surfaces.http.metrics import HttpMeasures, metrics_route
from northstar.surfaces.http.problems import fault, http_problem, problem
from northstar.surfaces.http.safe_headers import make_safe, tell_methods
from northstar.surfaces.http.slow_bodies import bounded_bodies
from northstar.surfaces.http.v1.access import guard, scope_of
from northstar.surfaces.http.v1.events import event_routes
from northstar.surfaces.http.v1.files import file_routes
from northstar.surfaces.http.v1.fleet import fleet_routes
from northstar.surfaces.http.v1.jobs import job_routes
from northstar.surfaces.http.v1.live import live_routes
from northstar.surfaces.http.v1.webhooks import webhook_routes

if TYPE_CHECKING:
    from northstar.assembly.front import AppParts
    from northstar.broker.api import Api


def v1_routers(api: Api | None, door: Door, http: HttpMeasures) -> list[Router]:
    """What clients reach, each route behind the scope that it names; nothing where a front serves machines alone.

    Raises:
        LookupError: a route names no scope.
    """
    if api is None:
        return []
    routes = [*job_routes(api.jobs, api.live.waits), *webhook_routes(api.webhooks), metrics_route(api.measures, http)]
    routes += [*event_routes(api.live), *file_routes(api.files), *fleet_routes(api)]
    for route in routes:
        scope_of(route)
    return [Router(path="/", route_handlers=routes, guards=[guard(api.keys, door)]), *dashboard_routers(api, door)]


def make_app(parts: AppParts) -> Litestar:
    """The front of one process."""
    door = Door(parts.doorkeeper, trusted=parts.trusted_proxies)
    http = HttpMeasures(machines=lambda: len(parts.gateway.machines))
    return Litestar(
        route_handlers=[
            *v1_routers(parts.api, door, http),
            *live_routes(parts.api, door),
            *description_routes(),
            live_route(parts.broker),
            ready_route(parts.pulse),
            link_route(parts.gateway, door),
            output_route(parts.outputs, door),
            join_route(parts.joining, door, parts.gateway.refusals, cell=parts.cell),
        ],
        exception_handlers={NorthstarError: problem, HTTPException: http_problem, Exception: fault},
        middleware=[http.middleware, bounded_bodies(parts.body_within_s)],
        before_send=[make_safe, tell_methods],
        request_max_body_size=parts.max_output_bytes,
        openapi_config=None,
        logging_config=None,
    )
