"""Running one job on this host: an empty workspace, a connector, outputs stored where the user will fetch them."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from northstar.connectors.contract import ConnectorJob, Output
from northstar.domain.errors import NorthstarError
from northstar.domain.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.agent.outputs import OutputStore
    from northstar.connectors.contract import Connector
    from northstar.domain.jobs import ClaimedJob


class ServiceNotOffered(NorthstarError):
    """The broker sent a job for a service that no connector here offers."""

    code = "NS_SERVICE_NOT_OFFERED"
    retryable = True

    def __init__(self, service: str, offered: tuple[str, ...]) -> None:
        super().__init__(
            f"service {service} is not offered here (offered: {', '.join(offered)}); the machine's profile is wrong"
        )
        self.service = service


class JobRunner(Protocol):
    """Turns a claimed job into its result as JSON; a failure is a NorthstarError whose class says whether to retry."""

    async def run(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        """Run to the end. Cancelling stops the engine's work first."""
        ...


class ConnectorRunner:
    """Runs jobs on connectors by service, and stores their files as assets before the job counts as done."""

    def __init__(self, connectors: dict[str, Connector], *, outputs: OutputStore, workspaces: Path) -> None:
        self._connectors = connectors
        self._outputs = outputs
        self._workspaces = workspaces

    async def run(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        """Run on the connector of the job's service. Raises ServiceNotOffered, EngineError, or what storing an output raises."""
        body = job.read_body()
        connector = self._connectors.get(body.service)
        if connector is None:
            raise ServiceNotOffered(body.service, tuple(self._connectors))
        workspace = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="job-", dir=self._workspaces))
        try:
            result = await connector.run(
                ConnectorJob(
                    id=job.id,
                    service=body.service,
                    payload=body.payload,
                    workspace=workspace,
                    deadline_s=body.finish_within_s,
                ),
                report,
            )
            outputs = await self._all_stored(job, result.outputs, report)
        finally:
            await asyncio.to_thread(shutil.rmtree, workspace, ignore_errors=True)
        return msgspec.json.encode({"outputs": outputs, "summary": result.summary}).decode()

    async def _all_stored(
        self, job: ClaimedJob, outputs: Sequence[Output], report: Callable[[Progress], None]
    ) -> list[dict[str, Any]]:
        """Every output as the result names it; the report says how many bytes of all files are stored."""
        total = sum(output.size_bytes for output in outputs if output.path is not None)
        stored: list[dict[str, Any]] = []
        before = 0
        for output in outputs:

            def sent(count: int, *, before: int = before, name: str = output.name) -> None:
                report(_storing(before + count, total, name))

            def waits(what: str, *, before: int = before, name: str = output.name) -> None:
                report(_storing(before, total, f"{name} waits for {what}"))

            stored.append(await self._stored(job, output, sent, waits))
            before += output.size_bytes if output.path is not None else 0
        return stored

    async def _stored(
        self, job: ClaimedJob, output: Output, sent: Callable[[int], None], waits: Callable[[str], None]
    ) -> dict[str, Any]:
        """An output as the result names it; text stays inside, files become references."""
        if output.path is None:
            return msgspec.structs.asdict(output) | {"path": None}
        sent(0)
        ref = await self._outputs.store(job, output, output.path, sent=sent, waits=waits)
        return {"name": output.name, "asset": msgspec.to_builtins(ref)}


def _storing(done: int, total: int, name: str) -> Progress:
    return Progress(
        phase="storing", fraction=done / total if total else None, message=name, bytes_done=done, bytes_total=total
    )
