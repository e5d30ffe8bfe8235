"""Real child processes: each known by its process id, ended by it, and never waited for without a limit."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
END_S = 30.0


class Child:
    """One run of a program of this package."""

    def __init__(self, program: str, orders: msgspec.Struct, *, errors: Path) -> None:
        arguments = [
            sys.executable,
            "-m",
            f"tests.acceptance.{program}",
            msgspec.json.encode(orders, enc_hook=str).decode(),
        ]
        self.errors = errors
        with errors.open("ab") as output:
            self._popen = subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.pid = self._popen.pid

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._popen.kill()
        self._popen.wait(timeout=END_S)

    def stop(self) -> None:
        """Ask it to end in good order."""
        self._popen.send_signal(signal.SIGTERM)

    def freeze(self) -> None:
        """It stands still, as a hung process does, until `thaw`."""
        self._popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._popen.send_signal(signal.SIGCONT)

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    async def ended(self, *, within_s: float = END_S) -> int:
        """Its exit status."""
        return await asyncio.to_thread(self._popen.wait, within_s)

    def check(self) -> None:
        """Fails when it ended by itself, with its last words."""
        status = self._popen.poll()
        assert status is None, f"the process ended with {status}:\n{self.errors.read_text()[-4000:]}"
