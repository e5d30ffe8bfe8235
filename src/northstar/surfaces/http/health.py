"""What platforms and load balancers ask: whether the process lives, and whether it can serve now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response, get

from northstar.assembly.front import BROKER_HEADER
from northstar.broker.gateway.pulse import Pulse

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

LIVE_PATHS = ["/health", "/health/live"]
READY_PATHS = ["/health/ready", "/ready"]


def live_route(broker: str) -> HTTPRouteHandler:
    """200 while the process answers; by the id beside it `northstar doctor` knows which broker it is."""

    @get(LIVE_PATHS, sync_to_thread=False)
    def live() -> Response[dict[str, str]]:
        """The process answers. A server that is gone does not change that: to start the process anew would bring nothing."""
        return Response({"status": "ok"}, headers={BROKER_HEADER: broker} if broker else {})

    return live


def ready_route(pulse: Pulse) -> HTTPRouteHandler:
    """200 while machines and clients can be served; else 503 with the code of what is wrong."""

    @get(READY_PATHS, opt={"codes": ("NS_NOT_READY",)})
    async def ready() -> dict[str, str]:
        """Machines and clients can be served now; where they cannot, 503 and the code of what is wrong."""
        await pulse.check()
        return {"status": "ready"}

    return ready
