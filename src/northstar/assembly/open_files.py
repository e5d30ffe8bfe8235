"""How many files a broker may have open at a time: nearly all of them are connections."""

from __future__ import annotations

from typing import Final

from northstar.broker.stream_places import MOST_STRANGERS, MOST_STREAMS
from northstar.config import ServeSettings

#: Files beside the connections of machines and clients: those to Valkey and the history, models and outputs on their way, logs.
_OTHERS: Final = 512


def files_of(wanted: ServeSettings) -> int:
    """As many as the bounds of its connections allow. Clients who wait or listen by HTTP are among the clients; a WebSocket is not."""
    return wanted.max_machines + wanted.max_clients + MOST_STREAMS + MOST_STRANGERS + _OTHERS
