"""The contract of every connector: get ready, run one job, stop at once when told to.

A connector is used by one event loop. It may run several jobs at the same time; it keeps nothing of a job after the
job has ended. Its outputs are verified: they exist, are not empty, and size and hash are those of the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from northstar.domain.progress import Progress

#: A JSON value, as it came from outside; a connector checks what it uses.
Json: TypeAlias = Any

#: Longest text that travels inside an `Output`; longer text becomes a file.
INLINE_TEXT_BYTES = 16 * 1024


class ConnectorJob(msgspec.Struct, frozen=True, kw_only=True):
    """One job for an engine.

    `workspace` is an empty folder that only this run uses and that its owner removes. `deadline_s` is how many seconds
    the whole run may take; None leaves that to the connector's own limit.
    """

    id: str
    service: str
    payload: Mapping[str, Json]
    workspace: Path
    deadline_s: float | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One result: either `text`, or the file `path` inside the job's workspace; never both, never neither."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    path: Path | None = None
    text: str | None = None

    @classmethod
    def of_text(cls, name: str, text: str) -> Output:
        """The output that carries `text` itself."""
        data = text.encode()
        return cls(
            name=name,
            media_type="text/plain; charset=utf-8",
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            text=text,
        )


class ConnectorResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished job leaves: verified outputs, and a summary of a few kilobytes of JSON for people and prices."""

    outputs: tuple[Output, ...]
    summary: Mapping[str, Json]


#: Takes progress reports; must return at once and never raise.
Report: TypeAlias = Callable[[Progress], None]


class Connector(Protocol):
    """Speaks to one engine. Every error it raises on purpose is an `EngineError`."""

    @property
    def service(self) -> str:
        """The service that this connector offers, such as `text` or `picture`."""
        ...

    async def ready(self) -> None:
        """Return once the engine has answered a real warm-up job; raise an `EngineError` if it has not."""
        ...

    async def run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        """Run `job` to its end.

        Cancelling the call stops the engine's work on this job before the cancellation goes on to the caller.
        """
        ...

    async def close(self) -> None:
        """Give back connections and end what still runs. May be called twice."""
        ...
