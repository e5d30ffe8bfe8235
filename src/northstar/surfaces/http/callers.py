"""From which address somebody calls, and who lets them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from northstar.broker.gateway.doorkeeper import DoorFor, Doorkeeper
from northstar.policy.admission.addresses import Network, who_asks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.connection import ASGIConnection


def caller(connection: ASGIConnection[Any, Any, Any, Any], *, trusted: Sequence[Network]) -> str:
    """The address to count for; see `who_asks`."""
    peer = connection.client.host if connection.client else ""
    return who_asks(peer, ",".join(connection.headers.getall("x-forwarded-for", [])), trusted=trusted)


class Door:
    """The doorkeeper, for whoever calls by HTTP or WebSocket."""

    def __init__(self, doorkeeper: Doorkeeper, *, trusted: Sequence[Network]) -> None:
        """`trusted` proxies are believed when they say for whom they ask."""
        self._doorkeeper = doorkeeper
        self._trusted = trusted

    def opened_for(self, connection: ASGIConnection[Any, Any, Any, Any]) -> DoorFor:
        """The door for this caller."""
        return DoorFor(self._doorkeeper, caller(connection, trusted=self._trusted))
