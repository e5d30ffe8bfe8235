"""The command `northstar` as a user has it: a process with exit code, standard output and standard error."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.warm_start import forge

WITHIN_S = 60.0
#: Commands that stay until they are told to end, if nothing is wrong.
STAYING = frozenset({"agent", "demo", "serve", "up", "worker"})
NOTHING: Mapping[str, str] = MappingProxyType({})

#: Machines whose engines are a few lines of Python, so that a job takes milliseconds, or as long as its payload says.
SETTINGS = """
[limits]
lease_ms = 3_000
alive_ms = 3_000

[agent]
renew_every_s = 0.75
reclaim_every_s = 0.3
drain_s = 2.0

[[machines]]
name = "local"
slots = 2
services = ["copy"]

[services.copy]
connector = "command"
arguments = ["@python", "-I", "-S", "COPY"]
warm_up = { text = "warm" }
expects = ["text/plain"]
"""

COPY = """
import json, pathlib, sys, time
job = json.load(sys.stdin)
for step in range(int(job.get("steps", 0))):
    print(json.dumps({"progress": (step + 1) / job["steps"], "message": "step"}), flush=True)
    time.sleep(0.05)
for _ in range(6_000):
    if not job.get("until") or pathlib.Path(job["until"]).exists():
        break
    time.sleep(0.01)
if job.get("fail") and not pathlib.Path(job["fail"]).exists():
    sys.exit("this work fails until its file is there")
pathlib.Path("out/copy.txt").write_text(job.get("text", "nothing") * int(job.get("times", 3)))
"""


@dataclass(frozen=True)
class Answer:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Northstar:
    """Commands on one data directory, with nothing of the developer's own settings."""

    folder: Path
    settings: str = SETTINGS
    options: tuple[str, ...] = ()
    #: Another program than this build's.
    program: tuple[str, ...] = ()
    _environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "work.py").write_text(COPY)
        (self.folder / "northstar.toml").write_text(self.settings.replace("COPY", str(self.folder / "work.py")))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NORTHSTAR_")}
        self._environment = kept | {
            "HOME": str(self.folder),
            "NORTHSTAR_CONFIG": str(self.folder / "northstar.toml"),
            "NORTHSTAR_DATA_DIR": str(self.data_dir),
        }

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def run(self, *arguments: str, stdin: bytes | str = b"", **environment: str) -> Answer:
        """Run a command to its end; one that would stay, and another program, are started from nothing."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        env = self._environment | environment
        if not self.program and arguments[0] not in STAYING:
            words = [*arguments, *self.options]
            code, out, err = forge().run(words, env=env, cwd=self.folder, stdin=given, timeout_s=WITHIN_S)
            return Answer(code, out.decode(), err.decode())
        done = subprocess.run(
            [*(self.program or PROGRAM), *arguments, *self.options],
            input=given,
            env=env,
            cwd=self.folder,
            capture_output=True,
            timeout=WITHIN_S,
            check=False,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def good(self, *arguments: str, stdin: bytes | str = b"") -> Any:
        """What a command that must succeed prints as JSON."""
        answer = self.run(*arguments, "--json", stdin=stdin)
        assert answer.code == 0, answer
        return answer.json

    @contextlib.contextmanager
    def up(self, *arguments: str) -> Iterator[RunningProcess]:
        """`northstar up`, ready for commands; ended by force if the test has not ended it."""
        with self.started("up", *arguments) as process:
            process.until(lambda: process.is_up_on(self.data_dir), what="up is up")
            yield process

    @contextlib.contextmanager
    def started(
        self, *arguments: str, before: tuple[str, ...] = (), environment: Mapping[str, str] = NOTHING
    ) -> Iterator[RunningProcess]:
        """A command that stays. `before` is a program that starts it."""
        with (self.folder / "out.log").open("ab") as out, (self.folder / "err.log").open("ab") as err:
            popen = subprocess.Popen(
                [*before, *(self.program or PROGRAM), *arguments],
                env={**self._environment, **environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        process = RunningProcess(popen, logs=(self.folder / "out.log", self.folder / "err.log"))
        try:
            yield process
        finally:
            process.end_by_force()

    def until_machines(self, *names: str) -> None:
        """Wait until exactly these machines are registered."""
        eventually(
            lambda: {machine["id"] for machine in self.good("machines", "list")["machines"]} == set(names),
            what=f"the machines are {names}",
            pause_s=0.2,
        )


PROGRAM = (sys.executable, "-P", "-m", "northstar")


@dataclass
class RunningProcess:
    """A process of ours and those below it."""

    popen: subprocess.Popen[bytes]
    logs: tuple[Path, ...]

    def words(self) -> str:
        """What it has said so far."""
        return "\n".join(log.read_text() for log in self.logs)

    def until(self, is_so: Callable[[], bool], *, what: str) -> None:
        """Wait for something while the process runs."""

        def so_or_over() -> bool:
            assert self.popen.poll() is None, f"ended with {self.popen.returncode} before {what}:\n{self.words()}"
            return is_so()

        eventually(so_or_over, what=what)

    def is_up_on(self, data_dir: Path) -> bool:
        """Whether this `up` is ready for commands; what a killed one left does not count."""
        with contextlib.suppress(FileNotFoundError):
            return bool(json.loads((data_dir / "run.json").read_text())["pid"] == self.popen.pid)
        return False

    def family(self) -> set[int]:
        """Its process id and those of everything below it."""
        return {self.popen.pid} | descendants(self.popen.pid)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; gives the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(timeout=WITHIN_S)

    def end_by_force(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(timeout=WITHIN_S)


def descendants(pid: int) -> set[int]:
    """Process ids below `pid`, from all of its threads."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found |= {int(child)} | descendants(int(child))
    return found


def is_alive(pid: int) -> bool:
    """Whether the process still runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def eventually(is_so: Callable[[], bool], *, what: str, within_s: float = WITHIN_S, pause_s: float = 0.03) -> None:
    """Ask again and again, up to a limit; for what only another process decides."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"after {within_s} s still not true: {what}"
        time.sleep(pause_s)


def gone(pids: set[int]) -> None:
    """Wait until none of these processes is left."""
    eventually(lambda: not any(map(is_alive, pids)), what=f"processes {pids} have ended", within_s=20.0)
