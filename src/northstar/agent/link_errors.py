"""What goes wrong between an agent and its broker."""

from __future__ import annotations

from typing import ClassVar

from northstar.domain.errors import NorthstarError, Refused, Unavailable
from northstar.domain.refusals import REFUSALS, refusal
from northstar.store import wire


class BrokerUnreachable(Unavailable):
    """There is no connection to the broker at present."""

    code: ClassVar[str] = "NS_BROKER_UNREACHABLE"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the broker is not connected: {detail}; dialling goes on by itself")
        self.detail = detail


class BrokerUnavailable(Unavailable):
    """The broker is connected, but gives no answer at present."""

    code: ClassVar[str] = "NS_BROKER_UNAVAILABLE"

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{sentence} ({code})")
        self.said = code


class BrokerRefused(Refused):
    """The broker said no, and will say it again."""

    code: ClassVar[str] = "NS_BROKER_REFUSED"

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{sentence} ({code})")
        self.said = code


class ProtocolUnknown(Refused):
    """The broker chose a protocol that was not offered to it."""

    code: ClassVar[str] = "NS_PROTOCOL_UNKNOWN"

    def __init__(self, protocol: int) -> None:
        super().__init__(
            f"the broker answered in protocol {protocol}, the agent speaks {wire.OLDEST_PROTOCOL} to {wire.NEWEST_PROTOCOL}; "
            "upgrade the agent"
        )


def said_no(code: str, sentence: str, *, retryable: bool, facts: dict[str, str] | None = None) -> NorthstarError:
    """The typed error of a broker's no."""
    if code in REFUSALS:
        return refusal(code, facts)
    return BrokerUnavailable(code, sentence) if retryable else BrokerRefused(code, sentence)
