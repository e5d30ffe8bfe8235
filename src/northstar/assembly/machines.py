"""Machines of this host as processes of their own: started, watched, started again when they die, and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from northstar.config import MachineSettings, Settings
from northstar.store.embedded import RestartPolicy
from northstar.telemetry import logger

log = logger(__name__)

#: Beyond the time a machine has to drain, before it is ended by force.
_STOP_MARGIN_S: Final = 10.0
_KILL_S: Final = 5.0
_REMEMBERED: Final = 100
#: Bytes that a machine says of its end, and never more than a pipe takes at once.
_MOST_WORDS: Final = 1_000


class LocalMachines:
    """One process a machine. `restart` None: a machine that dies stays dead."""

    def __init__(
        self,
        settings: Settings,
        *,
        mint: Callable[[str], str],
        restart: RestartPolicy | None,
        given_up: Callable[[str, str], None] = lambda _name, _why: None,
    ) -> None:
        """`mint` gives a machine its token; `given_up` is told of a machine that is not started again, and why."""
        self._given_up = given_up
        self._last_words: dict[str, str] = {}
        self._settings = settings
        self._mint = mint
        self._restart = restart
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the machines that run at present."""
        return {name: process.pid for name, process in self._processes.items() if process.returncode is None}

    def start(self, machines: Sequence[MachineSettings]) -> None:
        """Begin to keep these machines running. They register in the cell by themselves when their engines are ready."""
        for machine in machines:
            self._tasks.append(asyncio.create_task(self._keep(machine.name), name=f"machine-{machine.name}"))

    async def stop(self) -> None:
        """Tell all to stop, wait until they have handed back their work, and end by force those that do not."""
        self._stopping.set()
        self._send(signal.SIGTERM)
        await self._gone(self._settings.agent.drain_s + _STOP_MARGIN_S)
        self._send(signal.SIGKILL)
        await self._gone(_KILL_S)

    def hurry(self) -> None:
        """End all by force now; their jobs go back to the queue when their leases end."""
        self._stopping.set()
        self._send(signal.SIGKILL)

    async def _gone(self, timeout_s: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def _send(self, number: signal.Signals) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)

    async def _keep(self, name: str) -> None:
        clock = asyncio.get_running_loop()
        deaths: deque[float] = deque(maxlen=_REMEMBERED)
        while not self._stopping.is_set():
            code = await self._run_once(name)
            if self._stopping.is_set():
                return
            deaths.append(clock.time())
            delay_s = self._restart.delay_s(deaths, now=clock.time()) if self._restart else None
            if delay_s is None:
                log.error("machine_given_up", machine=name, exit_code=code, deaths=len(deaths))
                self._given_up(name, self._why(name, code, len(deaths)))
                return
            log.warning("machine_died", machine=name, exit_code=code, again_in_s=round(delay_s, 2))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._stopping.wait()

    def _why(self, name: str, code: int, deaths: int) -> str:
        """What is known of how it died last."""
        ended = "once" if deaths == 1 else f"{deaths} times"
        how = self._last_words.get(name) or (
            f"the last time by signal {-code}" if code < 0 else f"the last time with exit code {code}"
        )
        return f"its process ended {ended}; {how}"

    async def _run_once(self, name: str) -> int:
        heard, said = os.pipe()
        os.set_blocking(heard, False)
        try:
            try:
                process = await self._spawn(name, said)
            finally:
                os.close(said)  # the machine has its own end of it
            self._processes[name] = process
            if self._stopping.is_set():  # the order came while it was being started
                process.terminate()
            code = await process.wait()
            self._last_words[name] = _last_words(heard)
        finally:
            os.close(heard)
        return code

    async def _spawn(self, name: str, said: int) -> asyncio.subprocess.Process:
        """Start an agent that takes settings and token from its standard input, where nobody else can read them.

        It writes the error of which it ends to the descriptor `said`.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # a folder called northstar in the present directory is not the package
            "-m",
            "northstar.surfaces.cli.supervised",  # no command: nobody but us has anything to say to it
            name,
            str(os.getpid()),
            str(said),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=(said,),
            start_new_session=True,  # Ctrl-C in a terminal is the supervisor's to handle
        )
        log.debug("machine_started", machine=name, pid=process.pid)
        if process.stdin is not None:
            with contextlib.suppress(ConnectionError):  # it died at once: its exit code says so
                process.stdin.write(msgspec.json.encode(self._settings) + b"\n" + self._mint(name).encode() + b"\n")
                await process.stdin.drain()
            process.stdin.close()
        return process


def _last_words(heard: int) -> str:
    """What the machine said of its end; empty: it was killed, or ended without an error."""
    try:
        return " ".join(os.read(heard, _MOST_WORDS).decode(errors="replace").split())
    except BlockingIOError:  # something that it started is alive, and has its end of the pipe
        return ""
