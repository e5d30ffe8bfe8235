"""All routes of fleet, models, records, keys and explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.surfaces.http.v1.admission import admission_routes
from northstar.surfaces.http.v1.cell import cell_routes
from northstar.surfaces.http.v1.explain import explain_routes
from northstar.surfaces.http.v1.keys import key_routes
from northstar.surfaces.http.v1.machines import machine_routes
from northstar.surfaces.http.v1.models import model_routes
from northstar.surfaces.http.v1.records import record_routes

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.api import Api


def fleet_routes(api: Api) -> list[HTTPRouteHandler]:
    """Those that are not jobs'."""
    desks = api.desks
    return [
        *explain_routes(desks.explain),
        *cell_routes(desks.cell),
        *machine_routes(desks.machines),
        *admission_routes(desks.admission),
        *model_routes(desks.models),
        *record_routes(desks.records),
        *key_routes(api.keys),
    ]
