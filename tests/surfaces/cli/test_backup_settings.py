"""A backup has the settings by which the broker runs, whoever writes it, and names what it has not."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.northstar_command import Northstar


def configuration(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist() if name.startswith("configuration/")}


def test_the_file_by_which_up_runs_goes_along_though_nobody_names_it(running: Northstar, tmp_path: Path) -> None:
    done = running.run("backup", str(tmp_path / "one.zip"), "--json", NORTHSTAR_CONFIG="")
    assert done.code == 0, done
    assert done.json["settings"]["files"] == [str(running.folder / "northstar.toml")]
    assert configuration(tmp_path / "one.zip") == {
        "configuration/1-northstar.toml": (running.folder / "northstar.toml").read_text()
    }
    told = running.run("backup", str(tmp_path / "two.zip"), NORTHSTAR_CONFIG="").out
    assert f"settings  {running.folder / 'northstar.toml'}" in told
    assert "settings  NOT in it: what the environment says: NORTHSTAR_DATA_DIR" in told


def test_where_no_file_is_known_that_is_said(running: Northstar, tmp_path: Path) -> None:
    address = (running.data_dir / "run.json").read_text().partition('"url":"')[2].partition('"')[0]
    asked = ("backup", str(tmp_path / "three.zip"), "--valkey", address, "--json")
    done = running.run(*asked, NORTHSTAR_CONFIG="")
    assert done.code == 0, done
    assert done.json["settings"]["files"] == []
    assert "name it with --config FILE" in done.json["settings"]["missing"][0]
