"""The wheel, built once for all that install it, as `make wheel` builds it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def built_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree; workers share it."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built-wheel"
    with (place.parent / "built-wheel.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(place.glob("*.whl")):
            build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), "."]
            done = subprocess.run(
                build, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL
            )
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        (wheel,) = place.glob("*.whl")
    return wheel
