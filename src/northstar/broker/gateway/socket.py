"""What a conversation needs of a WebSocket, whoever serves it."""

from __future__ import annotations

from typing import ClassVar, Protocol

import msgspec

from northstar.domain.errors import InvalidRequest, Refused


class Socket(Protocol):
    """One accepted connection. `send` may wait while the peer reads slowly."""

    async def send(self, frame: bytes) -> None:
        """Send one binary frame. Raises SocketClosed."""
        ...

    async def receive(self) -> bytes:
        """The next frame. Raises SocketClosed."""
        ...

    async def close(self) -> None:
        """Close it; closing twice does no harm."""
        ...


class SocketClosed(Exception):
    """The peer is gone."""


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """Who dialled, as its token says: a machine, and what it may be."""

    machine: str
    #: Pools that it may serve; empty: any.
    pools: tuple[str, ...] = ()
    #: Where it stands; empty: what it says itself.
    region: str = ""
    #: False: it waits for an operator's approval before its first job.
    approved: bool = True


class Admission(Protocol):
    """Tells by its token who dials."""

    async def admit(self, token: str) -> Admitted:
        """The machine that this token is for. Raises a Refused that says why it is not, or Unavailable."""
        ...


class MachineForeign(Refused):
    """The token is another machine's."""

    code: ClassVar[str] = "NS_MACHINE_FOREIGN"

    def __init__(self, *, claimed: str, owner: str) -> None:
        super().__init__(
            f"this token belongs to machine {owner}, not to {claimed}; every machine has a token of its own"
        )


class MachineNotApproved(Refused):
    """An operator has not let the machine in yet."""

    code: ClassVar[str] = "NS_MACHINE_NOT_APPROVED"
    retryable = True

    def __init__(self, machine: str) -> None:
        super().__init__(
            f"machine {machine} waits for approval; an operator gives it: northstar machines approve {machine}"
        )


class PoolForeign(Refused):
    """The machine offers itself to a pool that its token does not allow."""

    code: ClassVar[str] = "NS_POOL_FOREIGN"

    def __init__(self, pool: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(f"this machine may serve {', '.join(allowed)}, not pool {pool}; invite it again for that pool")


class ProtocolMismatch(InvalidRequest):
    """The two ends have no version of the protocol in common."""

    code: ClassVar[str] = "NS_PROTOCOL_MISMATCH"

    def __init__(self, *, agent: tuple[int, int], broker: tuple[int, int]) -> None:
        older = "agent" if agent[1] < broker[0] else "broker"
        super().__init__(
            f"the agent speaks protocol {agent[0]} to {agent[1]}, the broker {broker[0]} to {broker[1]}; upgrade the {older}"
        )


class FrameInvalid(InvalidRequest):
    """What came over the connection is no frame of the protocol."""

    code: ClassVar[str] = "NS_FRAME_INVALID"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the frame cannot be read: {detail}")


class ConnectionReplaced(Refused):
    """The same machine has dialled again."""

    code: ClassVar[str] = "NS_CONNECTION_REPLACED"
    retryable = True

    def __init__(self, machine: str) -> None:
        super().__init__(f"machine {machine} has connected anew; this connection is not used any more")


class TooSlow(Refused):
    """The machine does not read what it is sent."""

    code: ClassVar[str] = "NS_CONNECTION_TOO_SLOW"
    retryable = True

    def __init__(self, machine: str) -> None:
        super().__init__(f"machine {machine} did not read what it was sent; it may dial again")


class GatewayFull(Refused):
    """This process holds as many connections as it may."""

    code: ClassVar[str] = "NS_GATEWAY_FULL"
    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"this broker holds {limit} machines, as many as it may; dial another, or raise serve.max_machines"
        )
