"""Work done by a program: any executable that reads a payload and leaves files, under hard limits.

The program finds the payload as JSON on its standard input (or in `job.json`), its results go to `out/`, and every line
`{"progress": 0.4, "message": "…"}` on its standard output is news for the person who waits.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from northstar.connectors.command_process import LAUNCHER_MARGIN_S, CommandLimits, CommandProcess, CommandReport
from northstar.connectors.command_template import ArgumentTemplate
from northstar.connectors.contract import ConnectorJob, ConnectorResult, Json, Report
from northstar.connectors.errors import (
    DeadlinePassed,
    EngineFailed,
    EngineGone,
    EngineMisconfigured,
    EngineRejected,
    Limit,
    LimitExceeded,
    ProgramFailed,
    ProgramFailedForNow,
)
from northstar.connectors.outputs import OutputRules, collect_outputs
from northstar.connectors.running import RunningJobs
from northstar.domain.amounts import exactly
from northstar.domain.engine_facts import EngineFacts
from northstar.domain.progress import Progress

_MAX_PAYLOAD_BYTES: Final = 1024 * 1024
_MESSAGE_CHARS: Final = 200
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


class CommandSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator of a machine says about a program.

    `arguments` may have holes for values of the payload, see `ArgumentTemplate`. `warm_up` is the payload of a small job that
    proves the program works. `expects` are the media types, with wildcards, of its files. A job that ends with one
    of `retryable_exit_codes` may be tried again. `environment` is added to PATH, HOME, TMPDIR and LANG, and goes before
    `pool_environment`, which is looked at anew for each run; nothing else is set.
    """

    service: str
    arguments: tuple[str, ...]
    warm_up: Mapping[str, Json]
    expects: tuple[str, ...]
    payload_by: Literal["stdin", "file"] = "stdin"
    may_lead_with_dash: frozenset[str] = frozenset()
    environment: Mapping[str, str] = {}
    pool_environment: Mapping[str, str] = {}
    limits: CommandLimits = CommandLimits()
    max_outputs: int = 100
    retryable_exit_codes: frozenset[int] = frozenset()
    grace_s: float = 3.0
    warm_up_s: float = 60.0


class _ProgressLine(msgspec.Struct):
    progress: float
    message: str = ""


class CommandConnector:
    """Runs one kind of program; each job is a process of its own, so there is nothing to keep between jobs."""

    def __init__(self, settings: CommandSettings) -> None:
        """Take the settings.

        Raises:
            ValueError: the arguments are no usable template.
        """
        self.service = settings.service
        self._settings = settings
        self._template = ArgumentTemplate(settings.arguments, may_lead_with_dash=settings.may_lead_with_dash)
        self._rules = OutputRules(
            expects=settings.expects, max_bytes=settings.limits.output_bytes, max_files=settings.max_outputs
        )
        self._running = RunningJobs(service=settings.service)

    async def ready(self) -> None:
        """Run the warm-up job in a folder of its own; return when it left what was expected.

        Raises:
            EngineError: it did not.
        """
        try:
            own = tempfile.TemporaryDirectory(prefix="northstar-warm-up-")
        except OSError as exc:
            reason = (
                f"no folder for its warm-up can be made ({exc.strerror}); let TMPDIR name one that may be written to"
            )
            raise EngineMisconfigured(reason, service=self.service) from exc
        with own as folder:
            job = ConnectorJob(
                id="warm-up",
                service=self.service,
                payload=self._settings.warm_up,
                workspace=Path(folder),
                deadline_s=self._settings.warm_up_s,
            )
            await self.run(job, _ignore)

    async def describe(self) -> EngineFacts:
        """That it is a program; of what it is and has, only its warm-up tells."""
        return EngineFacts(kind="command")

    async def run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        """Run the program once. Cancelling ends it and everything it started: TERM, a grace, KILL.

        Raises:
            EngineError: see `northstar.connectors.errors`.
        """
        return await self._running.run(self._run(job, report), job_id=job.id)

    async def close(self) -> None:
        """End the programs that still run; their jobs end with `EngineGone`."""
        await self._running.close()

    async def _run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        settings = self._settings
        arguments = self._template.filled(job.payload, service=self.service)
        payload = msgspec.json.encode(job.payload)
        if len(payload) > _MAX_PAYLOAD_BYTES:
            raise EngineRejected(f"the payload exceeds {exactly(_MAX_PAYLOAD_BYTES)}", service=self.service)
        await self._furnish(job.workspace, payload)
        limits = _within(settings.limits, job.deadline_s)
        process = await CommandProcess.start(
            arguments,
            workspace=job.workspace,
            environment=self._environment(job.workspace),
            limits=limits,
            grace_s=settings.grace_s,
        )

        def heard(line: bytes) -> bool:
            news = _progress(line)
            if news is not None:
                report(news)
            return news is not None

        stdin = payload if settings.payload_by == "stdin" else b""
        try:
            async with asyncio.timeout(None if limits.wall_s is None else limits.wall_s + LAUNCHER_MARGIN_S):
                ended = await process.finish(stdin, heard)
        except TimeoutError as error:
            raise EngineGone("the program's launcher does not answer", service=self.service) from error
        self._judge(ended, limits=limits, log_tail=process.log_tail)
        outputs = await asyncio.to_thread(collect_outputs, job.workspace / "out", self._rules, service=self.service)
        return ConnectorResult(outputs=outputs, summary=_summary(ended))

    def _judge(self, ended: CommandReport | None, *, limits: CommandLimits, log_tail: str) -> None:
        if ended is None:
            raise EngineGone("the program's launcher was killed", service=self.service)
        if ended.cannot_start is not None:
            raise EngineGone(f"the program cannot be started: {ended.cannot_start}", service=self.service)
        if ended.limit == "wall time" and limits.wall_s != self._settings.limits.wall_s:
            raise DeadlinePassed("end of the program", service=self.service, limit_s=limits.wall_s)
        if ended.limit is not None:
            raise LimitExceeded(ended.limit, allowed=_allowed(ended.limit, limits), service=self.service)
        if ended.exit_code != 0:
            code = -1 if ended.exit_code is None else ended.exit_code
            failure = ProgramFailedForNow if code in self._settings.retryable_exit_codes else ProgramFailed
            raise failure(code, service=self.service, log_tail=log_tail)

    async def _furnish(self, workspace: Path, payload: bytes) -> None:
        try:
            await asyncio.to_thread(_furnish, workspace, payload if self._settings.payload_by == "file" else None)
        except OSError as error:
            raise EngineFailed(f"its workspace cannot be prepared: {error}", service=self.service) from error

    def _environment(self, workspace: Path) -> dict[str, str]:
        own = {"PATH": _PATH, "HOME": str(workspace), "TMPDIR": str(workspace / "tmp"), "LANG": "C.UTF-8"}
        return own | dict(self._settings.pool_environment) | dict(self._settings.environment)


def _ignore(_news: Progress) -> None:
    """The listener of a warm-up."""


def _furnish(workspace: Path, payload: bytes | None) -> None:
    (workspace / "out").mkdir()
    (workspace / "tmp").mkdir()
    if payload is not None:
        (workspace / "job.json").write_bytes(payload)


def _within(limits: CommandLimits, deadline_s: float | None) -> CommandLimits:
    if deadline_s is None or (limits.wall_s is not None and limits.wall_s <= deadline_s):
        return limits
    return msgspec.structs.replace(limits, wall_s=deadline_s)


def _progress(line: bytes) -> Progress | None:
    """What a line says about progress; None if it is an ordinary line."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        news = msgspec.json.decode(line, type=_ProgressLine)
    except msgspec.MsgspecError:
        return None
    return Progress(phase="running", fraction=min(1.0, max(0.0, news.progress)), message=news.message[:_MESSAGE_CHARS])


def _allowed(limit: Limit, limits: CommandLimits) -> str:
    match limit:
        case "wall time":
            return f"{limits.wall_s:g} s"
        case "CPU time":
            return f"{limits.cpu_s:g} s"
        case "memory":
            return exactly(limits.memory_bytes)
        case "output":
            return exactly(limits.output_bytes)
        case "files":
            return f"{limits.files}"
        case "processes":
            return f"{limits.processes}"


def _summary(ended: CommandReport | None) -> dict[str, Json]:
    if ended is None:
        return {}
    return {"exit_code": ended.exit_code, "cpu_s": ended.cpu_s, "peak_memory_bytes": ended.peak_memory_bytes}
