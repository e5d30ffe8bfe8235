"""One run of the server program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from northstar.store.embedded.log import ServerLog

_LAUNCHER: Final = Path(__file__).with_name("launcher.py")


class ServerDeath(msgspec.Struct, frozen=True, kw_only=True):
    """The server ended though nobody asked it to."""

    pid: int
    #: As the system gives it: negative for a signal.
    exit_status: int
    #: What the server's log says; may be empty.
    reason: str

    def sentence(self) -> str:
        """For example: `Valkey process 4712 was ended by SIGKILL`."""
        if self.exit_status < 0:
            how = f"was ended by {_signal_name(-self.exit_status)}"
        else:
            how = f"ended with status {self.exit_status}"
        return f"Valkey process {self.pid} {how}" + (f": {self.reason}" if self.reason else "")


class ServerProcess:
    """A started server. `exited` is done, with the exit status, as soon as it has ended and is reaped.

    Must be made on the thread that runs the event loop, and that thread must outlive the server: on Linux the server
    is told to end when its starting thread ends.
    """

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self.pid = popen.pid
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self._reaper = threading.Thread(target=self._reap, name=f"valkey-{popen.pid}-exit", daemon=True)
        self._reaper.start()

    @classmethod
    def spawn(
        cls, *, binary: Path, data_dir: Path, configuration: bytes, log: ServerLog, lock_fd: int
    ) -> ServerProcess:
        """Start the program inside its data directory, with its configuration on standard input.

        The list of processes shows no directive. Ctrl-C in a terminal does not reach it: it has a session of its own.

        Raises:
            OSError: The launcher could not be started or the log not be opened.
        """
        arguments = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(binary), "-"]
        with log.path.open("ab") as output:
            popen = subprocess.Popen(
                arguments,
                cwd=data_dir,
                # The collation of the server's SORT and its log must not hang on the caller's language.
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(lock_fd,),
                start_new_session=True,
            )
        if popen.stdin is None:
            raise RuntimeError("a pipe was asked for")
        # Far below the 64 KiB a pipe takes, so this cannot block. A process that is gone shows by its exit.
        with contextlib.suppress(BrokenPipeError), popen.stdin as stdin:
            stdin.write(configuration)
        return cls(popen)

    async def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within so many seconds."""
        await asyncio.wait({self.exited}, timeout=timeout_s)
        return self.exited.done()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                self._popen.send_signal(number)

    def kill_at_once(self) -> None:
        """End it by SIGKILL without giving way to other tasks; for clean-up that must not be interrupted.

        Blocks for the moment the kernel needs, and never for longer than two seconds.
        """
        self.send(signal.SIGKILL)
        self._reaper.join(timeout=2.0)

    def _reap(self) -> None:
        status = self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop may be gone; then nobody waits
            self._loop.call_soon_threadsafe(self._tell, status)

    def _tell(self, status: int) -> None:
        if not self.exited.done():
            self.exited.set_result(status)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
