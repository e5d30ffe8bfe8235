"""Where the peers' libraries live: environments of their own, made from locks with hashes, never the project's.

A lock that changed since makes its environment anew. The project's own environment only runs the harness, North Star
and the floor. Nothing here is named in the project's dependencies.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.peers.failures import EnvironmentMissing
from benchmarks.peers.processes import ROOT

_INSTALL_S = 900
_NODE_FOLDER = Path(__file__).resolve().parent / "node"
_HOME = ROOT / ".venv-bench"


class Environment(msgspec.Struct, frozen=True):
    """A set of libraries; `lock` is the file that pins them, none where the project's own suffice."""

    name: str
    folder: Path
    lock: Path | None = None

    @property
    def python(self) -> Path:
        return Path(sys.executable) if self.lock is None else self.folder / "bin" / "python"


PROJECT = Environment("project", ROOT)
QUEUES = Environment("queues", _HOME / "queues", ROOT / "constraints" / "bench.txt")
#: arq holds redis-py below 6, and would keep its neighbours on old releases.
ARQ = Environment("arq", _HOME / "arq", ROOT / "constraints" / "bench-arq.txt")
#: taskiq's newest broker wants redis-py 8, which saq and kombu do not take yet.
TASKIQ = Environment("taskiq", _HOME / "taskiq", ROOT / "constraints" / "bench-taskiq.txt")
NODE = Environment("node", _NODE_FOLDER / "node_modules", _NODE_FOLDER / "package-lock.json")


def absent(environment: Environment) -> str | None:
    """Why this machine cannot have the environment at all; None where it can."""
    if environment is NODE and not (shutil.which("node") and shutil.which("npm")):
        return "Node and npm are not installed here"
    return None


def prepare(environment: Environment) -> None:
    """Make the environment, unless it stands and its lock is the one it was made from.

    Raises `EnvironmentMissing` when the installation fails or takes too long.
    """
    if environment.lock is None:
        return
    made_from = environment.folder / ".made-from"
    digest = hashlib.sha256(environment.lock.read_bytes()).hexdigest()
    if made_from.exists() and made_from.read_text(encoding="ascii") == digest:
        return
    print(f"installing the libraries of {environment.name} into {environment.folder.relative_to(ROOT)}", flush=True)
    shutil.rmtree(environment.folder, ignore_errors=True)
    if environment is NODE:
        _run(environment, ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder=_NODE_FOLDER)
    else:
        _HOME.mkdir(exist_ok=True)
        (_HOME / ".gitignore").write_text("*\n", encoding="ascii")
        venv.create(environment.folder, with_pip=True)
        install = ["-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(environment.lock)]
        _run(environment, [str(environment.python), *install], folder=ROOT)
    made_from.write_text(digest, encoding="ascii")


def _run(environment: Environment, command: Sequence[str], *, folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentMissing(environment.name, str(error)) from error
    if done.returncode:
        raise EnvironmentMissing(environment.name, f"status {done.returncode}: {done.stderr.strip()[-800:]}")
