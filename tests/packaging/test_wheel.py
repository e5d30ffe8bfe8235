"""The wheel, as a user has it: built, installed with its locked core into an empty environment, and run elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import northstar

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "northstar"
#: This environment's pip, at work on another: that saves a pip of its own, and nobody needs one there.
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Installation:
    """A wheel and the environment into which it was installed."""

    wheel: Path
    bin: Path
    elsewhere: Path

    def run(self, *command: str) -> str:
        """Run a program of the environment, away from the source tree, and return what it printed."""
        return run([str(self.bin / command[0]), *command[1:]], cwd=self.elsewhere)


def run(command: list[str], *, cwd: Path) -> str:
    # The installed package must be found on its own: no path, no environment of the test run leads to the source.
    inherited = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=inherited,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} answered {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, built_wheel: Path) -> Installation:
    place = tmp_path_factory.mktemp("wheel")
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], cwd=elsewhere)
    pip = [*PIP, "--python", str(place / "venv"), "install"]
    core = ROOT / "constraints" / "core.txt"
    run([*pip, "--quiet", "--no-compile", "--require-hashes", "-r", str(core)], cwd=elsewhere)
    run([*pip, "--quiet", "--no-deps", str(built_wheel)], cwd=elsewhere)
    return Installation(wheel=built_wheel, bin=place / "venv" / "bin", elsewhere=elsewhere)


def test_the_locked_core_is_all_that_the_wheel_asks_for(installation: Installation) -> None:
    check = [*PIP, "--python", str(installation.bin.parent), "check"]
    assert "No broken requirements" in run(check, cwd=installation.elsewhere)


def test_the_wheel_carries_every_file_of_the_package(installation: Installation) -> None:
    expected = {
        f"northstar/{path.relative_to(SOURCE).as_posix()}"
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(installation.wheel) as archive:
        carried = {name for name in archive.namelist() if name.startswith("northstar/")}
    assert "northstar/py.typed" in carried
    assert carried == expected


def test_the_wheel_carries_its_licence(installation: Installation) -> None:
    with zipfile.ZipFile(installation.wheel) as archive:
        (licence,) = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
        assert b"Apache License" in archive.read(licence)


def test_the_installed_package_is_not_the_source_tree(installation: Installation) -> None:
    place = installation.run("python", "-c", "import northstar; print(northstar.__file__)")
    assert Path(place.strip()).is_relative_to(installation.bin.parent)


def test_the_installed_command_says_its_version(installation: Installation) -> None:
    assert northstar.__version__ in installation.run("northstar", "version")


def test_the_installed_package_runs_as_a_module(installation: Installation) -> None:
    assert "version" in installation.run("python", "-m", "northstar", "--help")


def test_every_module_can_be_imported_with_the_locked_core_alone(installation: Installation) -> None:
    # What needs an extra asks for it when it is used; the front is such a part as a whole. Migrations run inside alembic, and
    # __main__ runs the command.
    program = (
        "import importlib, pkgutil, northstar\n"
        "names = [m.name for m in pkgutil.walk_packages(northstar.__path__, 'northstar.')]\n"
        "names = [n for n in names if '.migrations.' not in n and not n.endswith('.__main__')]\n"
        "names = [n for n in names if not n.startswith('northstar.surfaces.http.')]\n"
        "print(len([importlib.import_module(n) for n in names]))\n"
    )
    assert int(installation.run("python", "-c", program)) > 1


def test_a_core_without_the_front_names_the_extra_that_it_lacks(installation: Installation) -> None:
    up = [str(installation.bin / "northstar"), "up", "--data-dir", str(installation.elsewhere / "data")]
    done = subprocess.run(up, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 4
    assert done.stderr.startswith("NS_SERVE_PART_MISSING: ")
    assert "pip install 'northstar-broker[serve]'" in done.stderr
