"""A real PostgreSQL for tests: on a unix socket in a temporary directory, ended by its own process id."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import in_ci

READY_S = 60.0


def binaries() -> Path:
    """Where its programs are; a test that needs them fails in CI where they are absent, and is skipped elsewhere."""
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for candidate in reversed(candidates):
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    reason = "PostgreSQL's programs are not on this machine; `make test` installs them as root on Debian"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class Postgres:
    """One server. It can be stopped and started again on the same data."""

    def __init__(self, directory: Path) -> None:
        self._bin, self._directory = binaries(), directory
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        make = ["initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"]
        subprocess.run(self._as_its_user(make), check=True, capture_output=True, timeout=120, cwd=directory)

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _as_its_user(self, command: list[str]) -> list[str]:
        program = [str(self._bin / command[0]), *command[1:]]
        # It refuses to run as root.
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"]
        return [*user, *program] if os.geteuid() == 0 else program

    def start(self) -> None:
        settings = ["-c", "listen_addresses=", "-k", str(self._directory), "-c", "fsync=off"]
        command = self._as_its_user(["postgres", "-D", str(self._data), *settings])
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._directory, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S
        while True:
            assert self._process.poll() is None, (self._directory / "log").read_text()
            with contextlib.suppress(psycopg.OperationalError):
                self.connect("postgres").close()
                return
            assert time.monotonic() < deadline, (self._directory / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """Fast: connections are broken, what was committed is kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)
            self._process = None

    def connect(self, name: str) -> psycopg.Connection:
        return psycopg.connect(host=str(self._directory), user="postgres", dbname=name, autocommit=True)

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"history_{next(self._numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self._directory}"


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ns-pg-", ignore_cleanup_errors=True) as directory:
        server = Postgres(Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.stop()
