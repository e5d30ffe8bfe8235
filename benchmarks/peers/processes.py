"""Processes of a measurement: each in its own group, dying with the harness, heard, and stopped by its own id."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from benchmarks.peers.failures import PeerFailed

ROOT = Path(__file__).resolve().parents[2]
_STOP_S = 8.0
_GONE_S = 1.0
_LOOK_S = 0.005
_LOG_TAIL_BYTES = 400
_LAUNCH = Path(__file__).with_name("launch.py")


class Process:
    """One child. What it says goes to a log in `folder`, less its standard output where that answers commands.

    No file that it writes grows beyond `largest_file_bytes`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        variables: Mapping[str, str] | None = None,
        answers: bool = False,
        largest_file_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self.name = name
        self._log = folder / f"{name.replace(' ', '-')}.log"
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-S", str(_LAUNCH), str(os.getpid()), str(largest_file_bytes), *command],
                cwd=ROOT,
                env={**os.environ, **(variables or {})},
                stdin=subprocess.PIPE if answers else subprocess.DEVNULL,
                stdout=subprocess.PIPE if answers else log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def group(self) -> int:
        """Its process group, which is also its process id."""
        return self._popen.pid

    def wait_until(self, happened: Callable[[], bool], *, timeout_s: float, what: str) -> None:
        """Return once `happened()`; raises `PeerFailed` when the process ends before, or when time is up."""
        until_s = time.monotonic() + timeout_s
        while not happened():
            self.check_alive()
            if time.monotonic() > until_s:
                raise PeerFailed(self.name, f"did not {what} within {timeout_s:g} s", log=self.log_tail())
            time.sleep(_LOOK_S)

    def check_alive(self) -> None:
        if (status := self._popen.poll()) is not None:
            raise PeerFailed(self.name, f"ended early with status {status}", log=self.log_tail())

    def ask(self, do: str, *, within_s: float, **details: Any) -> dict[str, Any]:
        """Send one command line and give the answer; raises `PeerFailed` on an error, an end or silence."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        try:
            self._popen.stdin.write(msgspec.json.encode({"do": do, **details}) + b"\n")
            self._popen.stdin.flush()
        except BrokenPipeError:
            self.check_alive()
        readable, _, _ = select.select([self._popen.stdout], [], [], within_s)
        if not readable:
            raise PeerFailed(self.name, f"did not answer {do!r} within {within_s:g} s", log=self.log_tail())
        line = self._popen.stdout.readline()
        if not line:
            raise PeerFailed(self.name, f"ended instead of answering {do!r}", log=self.log_tail())
        answer = msgspec.json.decode(line, type=dict[str, Any])
        if "error" in answer:
            raise PeerFailed(self.name, f"failed at {do!r}: {answer['error']}")
        return answer

    def log_tail(self) -> str:
        return self._log.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", errors="replace").strip()

    def stop(self) -> None:
        """End it politely, then for certain, with whatever it left in its own group."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(_STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        self._popen.wait(_STOP_S)
        self._wait_for_group()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _wait_for_group(self) -> None:
        """Killed is not yet gone: a successor must not share the machine with what is still ending."""
        until_s = time.monotonic() + _GONE_S
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < until_s:
                os.killpg(self.group, 0)
                time.sleep(_LOOK_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
