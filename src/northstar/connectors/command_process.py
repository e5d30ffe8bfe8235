"""One run of a program from the agent's side: start the launcher, feed it, listen, and end it whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from northstar.connectors.errors import Limit
from northstar.connectors.running import to_the_end

_LAUNCHER: Final = Path(__file__).with_name("command_launcher.py")
_LINE_BYTES: Final = 64 * 1024
_LINE_CHARS: Final = 500
_TAIL_LINES: Final = 30
_REPORT_BYTES: Final = 16 * 1024
#: What the launcher needs after the grace to kill and count; then it is killed itself, and the kernel kills its program.
LAUNCHER_MARGIN_S: Final = 8.0
_LAST_WORDS_S: Final = 2.0


class CommandLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one run may use.

    `memory_bytes` is what the program and all it starts hold together, looked at twenty times a second (0: no limit).
    `address_space_bytes` is the kernel's limit for each process; programs that use a GPU reserve far more than they use, so
    it is off by default. `output_bytes` and `files` count everything in the workspace. `cpu_s` is for each process.
    """

    wall_s: float | None = 3_600.0
    cpu_s: float | None = None
    memory_bytes: int = 0
    address_space_bytes: int | None = None
    output_bytes: int = 1024 * 1024 * 1024
    files: int = 1_000
    processes: int = 256


class CommandReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended. `exit_code` is None if the program could not be started, negative for a signal."""

    exit_code: int | None = None
    limit: Limit | None = None
    cannot_start: str | None = None
    peak_memory_bytes: int = 0
    cpu_s: float = 0.0


class CommandProcess:
    """A started program."""

    def __init__(
        self, process: asyncio.subprocess.Process, *, lifeline_fd: int, report_fd: int, grace_s: float
    ) -> None:
        self._process = process
        self._lifeline_fd: int | None = lifeline_fd
        self._report_fd = report_fd
        self._grace_s = grace_s
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        workspace: Path,
        environment: Mapping[str, str],
        limits: CommandLimits,
        grace_s: float,
    ) -> CommandProcess:
        """Start `argv` in `workspace`. Nothing of this process's environment reaches it."""
        lifeline_read, lifeline_write = os.pipe()
        report_read, report_write = os.pipe()
        order = {
            "argv": list(argv),
            "lifeline_fd": lifeline_read,
            "report_fd": report_write,
            "grace_s": grace_s,
            "folder": str(workspace),
            "limits": limits,
        }
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(_LAUNCHER),
                msgspec.json.encode(order).decode(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=workspace,
                env=dict(environment),
                pass_fds=(lifeline_read, report_write),
                start_new_session=True,
                limit=_LINE_BYTES,
            )
        except BaseException:
            os.close(lifeline_write)
            os.close(report_read)
            raise
        finally:
            os.close(lifeline_read)
            os.close(report_write)
        return cls(process, lifeline_fd=lifeline_write, report_fd=report_read, grace_s=grace_s)

    @property
    def log_tail(self) -> str:
        """The last lines of what the program printed that was no progress report."""
        return "\n".join(self._tail)

    async def finish(self, stdin: bytes, heard: Callable[[bytes], bool]) -> CommandReport | None:
        """Feed the program, hand each line it prints to `heard` (false: keep it for the log), wait for the end.

        None if the launcher itself was killed. Cancelling ends the program and everything it started.
        """
        readers = asyncio.gather(
            self._feed(stdin), self._listen("stdout", heard), self._listen("stderr", lambda _line: False)
        )
        try:
            await self._process.wait()
            with contextlib.suppress(TimeoutError):  # only if the launcher was killed and left somebody behind
                async with asyncio.timeout(_LAST_WORDS_S):
                    await readers
            return self._report()
        finally:
            readers.cancel()
            await to_the_end(self._end(readers))

    async def _feed(self, stdin: bytes) -> None:
        pipe = self._process.stdin
        if pipe is None:
            return
        with contextlib.suppress(ConnectionError):  # a program need not read its input
            pipe.write(stdin)
            await pipe.drain()
        pipe.close()

    async def _listen(self, channel: Literal["stdout", "stderr"], heard: Callable[[bytes], bool]) -> None:
        stream = getattr(self._process, channel)
        while True:
            try:
                line: bytes = await stream.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                line = error.partial
                if not line:
                    return
            except asyncio.LimitOverrunError as error:
                line = await stream.readexactly(error.consumed)
            if not heard(line):
                self._tail.append(line.decode(errors="replace").rstrip()[:_LINE_CHARS])

    def _report(self) -> CommandReport | None:
        """The first thing said counts: that the program could not start explains why it ended with 127."""
        said = [part for part in os.read(self._report_fd, _REPORT_BYTES).split(b"\n") if part]
        return msgspec.json.decode(said[0], type=CommandReport) if said else None

    async def _end(self, readers: asyncio.Future[Any]) -> None:
        """Order the launcher to end the program, and see to it. Idempotent."""
        await asyncio.wait({readers})
        if not readers.cancelled():
            readers.exception()  # looked at, or the loop reports it as forgotten; what mattered was raised already
        if self._lifeline_fd is None:
            return
        os.close(self._lifeline_fd)
        self._lifeline_fd = None
        try:
            async with asyncio.timeout(self._grace_s + LAUNCHER_MARGIN_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        os.close(self._report_fd)
