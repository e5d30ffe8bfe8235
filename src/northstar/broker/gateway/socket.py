"""What a conversation needs of a WebSocket, whoever serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from northstar.domain.errors import InvalidRequest, Refused

if TYPE_CHECKING:
    from northstar.domain.admission import Admitted


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


class Admission(Protocol):
    """Tells by its token who dials."""

    async def authenticate(self, token_text: str) -> Admitted:
        """The machine that this token is for. Raises a NorthstarError that says why it is not let in."""
        ...


class MachineForeign(Refused):
    """The token is another machine's."""

    code: ClassVar[str] = "NS_MACHINE_FOREIGN"

    def __init__(self, *, claimed: str, owner: str) -> None:
        super().__init__(
            f"this token belongs to machine {owner}, not to {claimed}; every machine has a token of its own"
        )


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


class GatewayCrowded(Refused):
    """As many connections as may be have not been let in yet."""

    code: ClassVar[str] = "NS_GATEWAY_CROWDED"
    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} connections wait here to be let in, as many as may; dial again, or another broker")


class GatewayFull(Refused):
    """This process holds as many machines as it may."""

    code: ClassVar[str] = "NS_GATEWAY_FULL"
    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"this broker holds as many machines as it may ({limit}); dial another, or raise serve.max_machines"
        )
