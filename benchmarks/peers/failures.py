"""What can go wrong around a peer; a failed peer is named at the end and does not stop the others."""

from __future__ import annotations

from northstar.domain.errors import NorthstarError


class PeerFailed(NorthstarError):
    """A process of a peer ended, answered with an error, or did not do in time what it should have done."""

    code = "NS_BENCH_PEER_FAILED"

    def __init__(self, process: str, complaint: str, *, log: str = "") -> None:
        said = f"; it said last: {log}" if log else ""
        super().__init__(f"{process} {complaint}{said}")
        self.process, self.complaint, self.log = process, complaint, log


class EnvironmentMissing(NorthstarError):
    """The libraries of a peer could not be installed."""

    code = "NS_BENCH_ENVIRONMENT_MISSING"

    def __init__(self, environment: str, reason: str) -> None:
        super().__init__(f"cannot make the environment {environment}: {reason}")
        self.environment, self.reason = environment, reason
