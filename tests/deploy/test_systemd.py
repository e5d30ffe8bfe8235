"""The units beside the code: they start commands that exist, as nobody special, and stop no sooner than work is handed back."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from northstar.config import load, variables
from northstar.config.sources import RESERVED
from northstar.surfaces.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
PAGE = ROOT / "docs" / "how-to" / "run-with-systemd.md"


def service(unit: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of systemd have capitals
    parser.read_string(unit.read_text())
    return parser["Service"]


def test_there_is_one_for_a_broker_and_one_for_a_machine() -> None:
    assert [unit.stem for unit in UNITS] == ["northstar-agent", "northstar-serve"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_it_starts_a_command_that_exists_with_its_state_where_systemd_keeps_it(unit: Path) -> None:
    found = service(unit)
    program, command = found["ExecStart"].split()
    assert program.endswith("/bin/northstar")
    assert command in COMMANDS
    given = dict(pair.split("=", 1) for pair in found["Environment"].split())
    assert given["NORTHSTAR_DATA_DIR"] == f"/var/lib/{found['StateDirectory']}"


@pytest.mark.parametrize("file", [*UNITS, PAGE], ids=lambda file: file.name)
def test_every_variable_that_is_named_is_one(file: Path) -> None:
    named = set(re.findall(r"\bNORTHSTAR_[A-Z0-9_]+\b", file.read_text()))
    assert named
    assert named <= variables().keys() | RESERVED


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_it_has_no_rights(unit: Path) -> None:
    found = service(unit)
    assert found["User"] == "northstar"
    assert found["CapabilityBoundingSet"] == ""
    assert (found["NoNewPrivileges"], found["ProtectSystem"], found["UMask"]) == ("true", "strict", "0077")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_it_is_killed_no_sooner_than_its_work_is_handed_back(unit: Path) -> None:
    settings = load(environment={}, file=None, options={"data_dir": "/x"})
    assert int(service(unit)["TimeoutStopSec"]) >= settings.agent.drain_s + 10


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_it(unit: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    said = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    # The program is where an installation puts it, and not here.
    complaints = [line for line in said.stderr.splitlines() if "is not executable" not in line]
    assert complaints == []


def test_the_page_names_the_units_that_there_are() -> None:
    page = PAGE.read_text()
    for unit in UNITS:
        assert f"deploy/systemd/{unit.name}" in page
