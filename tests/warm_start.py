"""Commands in processes of their own that need not load the program first.

A test that asks a running North Star something starts the command `northstar` many times over, and each start loads the same modules
for half a second or, on a slow machine, a whole one. Here a process loads them once and forks for each command: the command has a process,
an environment, a folder, a standard input and outputs, an exit code and an end of its own, and only its beginning is shared.

What a command loads by itself is seen by `tests/surfaces/cli/test_what_is_loaded.py`, by the tests of the installed wheel, and by all
commands that stay (`up`, `serve`, `agent`, …): those are always started from nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

#: What commands load while they run: their own modules, and what those ask, read and print with.
LOADED = (
    "northstar.surfaces.cli",
    "northstar.assembly",
    "northstar.broker",
    "northstar.simulation.scenario",
    "northstar.store",
    "rich.console",
    "rich.progress",
    "rich.table",
    "sqlalchemy.dialects.sqlite",
)
_MAX_REQUEST_BYTES = 200_000


class Forge:
    """The process that forks, as a test sees it."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def run(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: bytes, timeout_s: float
    ) -> tuple[int, bytes, bytes]:
        """Run a command to its end; gives its exit code and what it wrote to its two outputs.

        Raises:
            subprocess.TimeoutExpired: it did not end in time, and was killed.
        """
        request = json.dumps({"arguments": list(arguments), "env": dict(env), "cwd": str(cwd)}).encode()
        told, tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with (
            told,
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            given.write(stdin)
            given.seek(0)
            with tells:
                fds = [given.fileno(), out.fileno(), err.fileno(), tells.fileno()]
                socket.send_fds(self._ours, [request], fds)
            told.settimeout(timeout_s)
            pid = int(told.recv(32))
            try:
                code = int(told.recv(32))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout_s) from None
            out.seek(0)
            err.seek(0)
            return code, out.read(), err.read()

    def close(self) -> None:
        """End the process."""
        self._ours.close()
        self._process.wait()


@cache
def forge() -> Forge:
    """The one of this test process, made when it is first needed."""
    made = Forge()
    atexit.register(made.close)
    return made


def load() -> None:
    """Import what commands load, and everything below it."""
    for name in LOADED:
        whole = importlib.import_module(name)
        for module in pkgutil.walk_packages(getattr(whole, "__path__", ()), f"{name}."):
            if ".migrations." not in module.name:  # they run inside alembic
                importlib.import_module(module.name)
    # What reads command lines loads more when it reads one for the first time.
    from northstar.surfaces.cli import main

    sys.argv[1:] = ["version"]
    with contextlib.suppress(SystemExit):
        main()


def serve(requests: socket.socket) -> bool:
    """Fork for each request and tell how it ends. True: this is a forked process. False: nobody is left to ask."""
    running: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not requests:
                    selector.unregister(key.fileobj)
                    os.close(key.fd)
                    _tell_end(*running.pop(key.fd))
                    continue
                message, fds, _, _ = socket.recv_fds(requests, _MAX_REQUEST_BYTES, 4)
                if not message:
                    return False
                *standard, tells = fds
                pid = os.fork()
                if pid == 0:
                    os.close(tells)
                    _become(json.loads(message), standard)
                    return True
                for fd in standard:
                    os.close(fd)
                os.write(tells, b"%d" % pid)
                end = os.pidfd_open(pid)
                running[end] = (pid, tells)
                selector.register(end, selectors.EVENT_READ)


def _tell_end(pid: int, tells: int) -> None:
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):  # who asked may not have waited for it
        os.write(tells, b"%d" % os.waitstatus_to_exitcode(status))
    os.close(tells)


def _become(request: dict[str, Any], standard: Sequence[int]) -> None:
    """Take what a command is started with: standard input and outputs, folder, environment and arguments."""
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv[1:] = request["arguments"]
    sys.argv[0] = "northstar"


def run_to_the_end(program: Callable[[], None]) -> NoReturn:
    """Run a program as the interpreter would, and end without taking apart what was loaded, module by module.

    The kernel gives back memory faster; that last step took more time than all else that a command does. Threads are waited for, what
    was to be done at exit is done, and what was written goes out before. An exception that would end the interpreter with a traceback, or
    by a signal, is left to it.
    """
    code = 0
    try:
        program()
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given_requests:
        load()
        gc.freeze()
        is_command = serve(given_requests)
    if is_command:
        from northstar.surfaces.cli import main

        run_to_the_end(main)
