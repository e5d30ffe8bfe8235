"""The connections of strangers, bounded in number.

When there are more than may be, the one that has asked nothing for the longest goes, so that thousands of idle sockets keep out nobody who
has something to ask.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, Protocol

from northstar.domain.errors import Unavailable
from northstar.telemetry import logger

log = logger(__name__)


class TooManyClients(Unavailable):
    """As many connections are at work as may be."""

    code: ClassVar[str] = "NS_TOO_MANY_CLIENTS"

    def __init__(self) -> None:
        super().__init__(
            "this broker has as many clients at work as it may (serve.max_clients); come back, or ask another"
        )


class Connection(Protocol):
    """One of the crowd."""

    def put_out(self) -> None:
        """End it."""


class Crowd:
    """The connections of one front that are no WebSockets."""

    def __init__(self, *, most: int, head_within_s: float) -> None:
        self.most = most
        self.head_within_s = head_within_s
        self._here: set[Connection] = set()
        #: Those that have asked nothing, the longest first.
        self._idle: OrderedDict[Connection, None] = OrderedDict()
        self._is_full = False

    def __len__(self) -> int:
        """Connections that are here now."""
        return len(self._here)

    def comes(self, connection: Connection) -> bool:
        """Take it in; False: nobody can make room for it."""
        while len(self._here) >= self.most:
            if not self._idle:
                self._say_full()
                return False
            longest = next(iter(self._idle))
            self.leaves(longest)
            longest.put_out()
        self._here.add(connection)
        self.rests(connection)
        return True

    def rests(self, connection: Connection) -> None:
        """It has been answered, or has asked nothing yet."""
        if connection in self._here:
            self._idle[connection] = None
            self._idle.move_to_end(connection)

    def asks(self, connection: Connection) -> None:
        """A request of it is under way."""
        self._idle.pop(connection, None)

    def leaves(self, connection: Connection) -> None:
        """It is gone, or a WebSocket by now."""
        self._here.discard(connection)
        self._idle.pop(connection, None)
        self._is_full = self._is_full and len(self._here) >= self.most // 2

    def _say_full(self) -> None:
        if not self._is_full:  # said anew only after half of them have gone
            self._is_full = True
            log.warning(
                "too_many_clients", clients=len(self._here), hint="raise serve.max_clients, or run more brokers"
            )
