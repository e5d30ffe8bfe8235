"""`northstar doctor` as a user has it: names that stay, an exit code that scripts can use, and cures that can be pasted."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.northstar_command import SETTINGS, Northstar

CHECKS = [
    "data_dir",
    "restore",
    "listen",
    "tls",
    "open_files",
    "valkey",
    "valkey_version",
    "valkey_eviction",
    "valkey_persistence",
    "valkey_memory",
    "valkey_library",
    "clock",
    "history",
    "assets",
    "engine:copy",
]


def test_a_running_north_star_is_well(running: Northstar) -> None:
    answer = running.run("doctor", "--json")
    assert answer.code == 0, answer
    checks = answer.json["checks"]
    assert [check["check"] for check in checks] == CHECKS
    assert not [check for check in checks if check["verdict"] == "fault"]
    assert {check["check"] for check in checks if check["verdict"] == "ok"} >= {"valkey", "clock", "history", "assets"}
    told = running.run("doctor")
    assert told.code == 0
    assert "0 faults" in told.out


def test_a_fault_has_an_exit_code_of_its_own_and_a_cure_that_can_be_pasted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        northstar = Northstar(tmp_path / "one", SETTINGS + f"\n[serve]\nport = {port}\n")
        (northstar.folder / "data").mkdir()
        (northstar.folder / "data" / "restoring.json").write_text('{"archive": "00000000", "file": "/b.zip"}')
        answer = northstar.run("doctor", "--data-dir", str(northstar.data_dir))
        assert answer.code == 5
        assert f"next: ss -ltnp 'sport = :{port}'" in answer.out
        assert f"next: northstar restore --data-dir {northstar.data_dir} /b.zip --yes" in answer.out
        assert "2 faults" in answer.out
        told = northstar.run("doctor", "--json").json["checks"]
        assert [check["check"] for check in told if check["verdict"] == "fault"] == ["restore", "listen"]


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_backup_and_restore_name_what_is_wrong_with_their_file(command: str, tmp_path: Path) -> None:
    northstar = Northstar(tmp_path / "one")
    (tmp_path / "x.zip").write_text("not a backup")
    answer = northstar.run(command, str(tmp_path / "x.zip"))
    expected = {"backup": (4, "NS_NOT_RUNNING"), "restore": (2, "NS_ARCHIVE_DAMAGED")}
    assert (answer.code, answer.err.partition(":")[0]) == expected[command]
    assert not northstar.data_dir.exists()


def test_a_backup_goes_into_a_folder_under_a_name_of_its_own(running: Northstar, tmp_path: Path) -> None:
    answer = running.run("backup", str(tmp_path))
    assert answer.code == 0, answer
    (made,) = tmp_path.iterdir()
    assert made.name.startswith("northstar-default-")
    assert made.suffix == ".zip"
    assert f"backed up to {made}" in answer.out
    assert "history   up to event " in answer.out
    refused = running.run("backup", str(made))
    assert (refused.code, refused.err.partition(":")[0]) == (3, "NS_ARCHIVE_EXISTS")
