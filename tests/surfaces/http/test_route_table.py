"""Who reaches which route of fleet, models, records and keys: from the table of routes, so that a new one cannot escape."""

from __future__ import annotations

import re
from unittest.mock import MagicMock

import pytest
from litestar.handlers import HTTPRouteHandler

from northstar.domain.api_keys import Scope
from northstar.surfaces.http.v1.access import scope_of
from northstar.surfaces.http.v1.fleet import fleet_routes
from tests.surfaces.http.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUTES = fleet_routes(MagicMock())
#: What a key of one tenant may ask: it is told of its own, or of what everybody may know.
FOR_TENANTS = {
    "job_decision",
    "explain_job",
    "list_pools",
    "get_pool",
    "list_pauses",
    "list_models",
    "get_model",
    "list_attempts",
    "get_costs",
    "list_dead_letters",
}
#: Bodies that are read before anybody is refused for its tenant.
BODIES: dict[str, object] = {
    "drain_machine": {"draining": True},
    "order_fetch": {"model": "x"},
    "order_eviction": {"model": "x"},
}


def place(route: HTTPRouteHandler) -> tuple[str, str]:
    """Its method, and a path that leads there."""
    (method,) = route.http_methods - {"HEAD", "OPTIONS"}
    (path,) = route.paths
    return str(method), re.sub(r"\{\w+:\w+\}", "nobody", path)


def name_of(route: HTTPRouteHandler) -> str:
    return str(route.fn.__name__)


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_a_route_is_shut_without_a_key_and_to_keys_without_its_scope(site: Site, route: HTTPRouteHandler) -> None:
    method, path = place(route)
    body = BODIES.get(name_of(route))
    nobody = await site.stranger().ask(method, path, json=body)
    assert (nobody.status, nobody.code) == (401, "NS_KEY_MISSING")
    others = [scope for scope in Scope if scope not in {scope_of(route), Scope.ADMIN}]
    wrong = await (await site.client(*others)).ask(method, path, json=body)
    assert (wrong.status, wrong.code) == (403, "NS_SCOPE_MISSING")


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_a_key_of_one_tenant_reaches_what_is_listed_here_and_nothing_else(
    site: Site, route: HTTPRouteHandler
) -> None:
    method, path = place(route)
    every = [scope for scope in Scope if scope is not Scope.ADMIN]
    tenant = await site.former_client(*every, tenant=site.new_tenant())
    answer = await tenant.ask(method, path, json=BODIES.get(name_of(route)))
    if name_of(route) in FOR_TENANTS:
        assert answer.status in {200, 404}, answer.body
    else:
        assert (answer.status, answer.code) in {(403, "NS_SCOPE_MISSING"), (403, "NS_KEY_OF_ONE_TENANT")}


async def test_every_route_says_what_it_gives_and_for_whom() -> None:
    for route in ROUTES:
        said = route.fn.__doc__ or ""
        assert re.search(r"\bFor (`admin`|everybody|keys of all tenants|whoever reaches)", said), name_of(route)
