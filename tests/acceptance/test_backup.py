"""Backup and restore, proved by deleting everything: what was waiting runs, what was finished is there, what ran returns."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from northstar.store.embedded import ServerOptions
from northstar.store.embedded.endpoint import choose_port_endpoint
from tests.northstar_command import SETTINGS, Northstar, RunningProcess, eventually


def jobs(*names: str, **payload: object) -> str:
    return json.dumps([{"id": name, "service": "copy", "payload": {"text": f"{name} "} | payload} for name in names])


def statuses(northstar: Northstar) -> dict[str, str]:
    return {job["id"]: job["status"] for job in northstar.good("jobs", "list", "--limit", "500")["jobs"]}


@contextlib.contextmanager
def at_work(northstar: Northstar) -> Iterator[RunningProcess]:
    """An installation with a finished job, two that run until their file is there, and two that wait behind them."""
    with northstar.up() as up:
        northstar.until_machines("local")
        northstar.good("submit", "-", "--wait", stdin=jobs("finished"))
        northstar.good("submit", "-", stdin=jobs("runs-1", "runs-2", until=str(northstar.folder / "go")))
        eventually(
            lambda: all(statuses(northstar)[name] == "running" for name in ("runs-1", "runs-2")), what="both run"
        )
        northstar.good("submit", "-", stdin=jobs("waits-1", "waits-2"))
        yield up


def expect_everything_back(northstar: Northstar) -> None:
    """Jobs that waited or ran are done, those that were finished are there, and so is the history of all of them."""
    names = {"finished", "runs-1", "runs-2", "waits-1", "waits-2"}
    (northstar.folder / "go").touch()
    eventually(lambda: statuses(northstar) == dict.fromkeys(names, "succeeded"), what="all jobs are done", pause_s=0.2)
    finished = northstar.good("jobs", "show", "finished")
    assert finished["result"]["outputs"]

    def known() -> set[str]:
        return {row["job_id"] for row in northstar.good("history", "--count", "100")["attempts"]}

    eventually(lambda: names <= known(), what="the history has them all", pause_s=0.2)


def back_up(northstar: Northstar, *more: str) -> tuple[Path, dict[str, Any]]:
    file = northstar.folder / "backup.zip"
    return file, northstar.good("backup", str(file), *more)


#: What runs here ends only when it is told to, so a stop need not wait for it.
AT_ONCE = SETTINGS.replace("drain_s = 2.0", "drain_s = 0.1")


@pytest.fixture
def northstar(tmp_path: Path) -> Northstar:
    return Northstar(tmp_path, AT_ONCE)


def test_what_was_backed_up_while_it_ran_comes_back_after_everything_is_deleted(northstar: Northstar) -> None:
    with at_work(northstar) as up:
        file, told = back_up(northstar, "--outputs")
        assert up.stop() == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert told["cell"]["running"] == 2
    assert told["cell"]["waiting"] == 2
    assert told["history"]["kind"] == "file"
    assert told["outputs"]["files"] >= 1
    shutil.rmtree(northstar.data_dir)

    done = northstar.good("restore", str(file), "--yes")
    assert done["epoch_now"] > told["cell"]["epoch"]
    assert (
        Path(done["settings_in"], "1-northstar.toml").read_text() == (northstar.folder / "northstar.toml").read_text()
    )

    with northstar.up():
        expect_everything_back(northstar)
        one = northstar.good("jobs", "show", "finished")
        assert Path(one["result"]["outputs"][0]["asset"]["url"].removeprefix("file://")).read_text() == "finished " * 3
        assert northstar.good("status")["history"]["code"] == ""


@pytest.mark.long
def test_what_was_backed_up_while_nothing_ran_comes_back_too(northstar: Northstar) -> None:
    with at_work(northstar) as up:
        for pid in up.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        up.popen.wait()
    file, told = back_up(northstar)
    assert told["outputs"]["included"] is False
    shutil.rmtree(northstar.data_dir / "valkey")
    (northstar.data_dir / "history.db").unlink()
    northstar.good("restore", str(file), "--yes")
    with northstar.up():
        expect_everything_back(northstar)


@pytest.mark.long
def test_a_restore_refuses_what_is_there_unless_it_is_told_to_replace_it(northstar: Northstar) -> None:
    with at_work(northstar) as up:
        file, _ = back_up(northstar)
        refused = northstar.run("restore", str(file), "--yes")
        assert refused.code == 4
        assert "NS_DATA_DIR_IN_USE" in refused.err
        northstar.good("submit", "-", stdin=jobs("after-the-backup"))
        assert up.stop() == 0
    refused = northstar.run("restore", str(file), "--yes")
    assert (refused.code, refused.err.partition(":")[0]) == (3, "NS_CELL_NOT_EMPTY")
    asked = northstar.run("restore", str(file), "--json")
    assert (asked.code, asked.err.partition(":")[0]) == (2, "NS_CONFIRMATION_NEEDED")

    northstar.good("restore", str(file), "--yes-replace-everything")
    with northstar.up():
        assert "after-the-backup" not in statuses(northstar)
        expect_everything_back(northstar)


@pytest.mark.long
def test_the_same_backup_may_be_restored_again_and_again(northstar: Northstar) -> None:
    with at_work(northstar) as up:
        file, _ = back_up(northstar)
        assert up.stop() == 0
    epochs = [northstar.good("restore", str(file), "--yes-replace-everything")["epoch_now"] for _ in range(2)]
    assert epochs[0] == epochs[1]
    with northstar.up():
        expect_everything_back(northstar)


@pytest.mark.long
def test_work_that_goes_on_during_backups_is_in_each_of_them_as_of_one_moment(northstar: Northstar) -> None:
    with northstar.up() as up:
        northstar.until_machines("local")
        for at in range(3):
            northstar.good("submit", "-", stdin=jobs(*(f"job-{at}-{n}" for n in range(8))))
            told = northstar.good("backup", str(northstar.folder / f"backup-{at}.zip"))
            assert told["cell"]["entries"]["jobs"] == 8 * (at + 1)
        eventually(lambda: set(statuses(northstar).values()) == {"succeeded"}, what="all are done", pause_s=0.2)
        assert up.stop() == 0
    for at in (0, 2):
        northstar.good("restore", str(northstar.folder / f"backup-{at}.zip"), "--yes-replace-everything")
        with northstar.up() as up:
            eventually(
                lambda at=at: [*statuses(northstar).values()] == ["succeeded"] * 8 * (at + 1),  # type: ignore[misc]
                what="all that were there are done",
                pause_s=0.2,
            )
            assert northstar.good("status")["history"]["code"] == ""
            assert up.stop() == 0


def limited(northstar: Northstar, file_bytes: int) -> Northstar:
    """The same installation, by commands whose files may not grow beyond this, as on a disk that is full there."""
    program = ("prlimit", f"--fsize={file_bytes}", sys.executable, "-P", "-m", "northstar")
    return Northstar(northstar.folder, northstar.settings, program=program)


@pytest.mark.long
def test_a_disk_that_fills_leaves_no_half_backup_and_no_half_restore(northstar: Northstar) -> None:
    with northstar.up() as up:
        northstar.until_machines("local")
        northstar.good("pause", "cell")
        noise = {f"job-{n}": os.urandom(20_000).hex() for n in range(10)}
        wanted = [{"id": name, "service": "copy", "payload": {"text": text}} for name, text in noise.items()]
        northstar.good("submit", "-", stdin=json.dumps(wanted))
        refused = limited(northstar, 100_000).run("backup", str(northstar.folder / "backup.zip"))
        assert (refused.code, refused.err.partition(":")[0]) == (4, "NS_ARCHIVE_UNWRITABLE"), refused
        assert "File too large" in refused.err
        assert not [file.name for file in northstar.folder.iterdir() if "backup" in file.name]
        file, _ = back_up(northstar)
        assert up.stop() == 0
    shutil.rmtree(northstar.data_dir)
    refused = limited(northstar, 20_000).run("restore", str(file), "--yes")
    assert refused.code == 4, refused
    assert not (northstar.data_dir / "history.db").exists()
    northstar.good("restore", str(file), "--yes")
    with northstar.up():
        northstar.good("resume", "cell")
        eventually(lambda: statuses(northstar) == dict.fromkeys(noise, "succeeded"), what="all are done", pause_s=0.2)


def test_a_machine_that_lived_through_it_cannot_end_what_it_held_and_does_it_anew(tmp_path: Path) -> None:
    port = choose_port_endpoint(ServerOptions(listen="tcp"), rng=random.SystemRandom()).port
    northstar = Northstar(tmp_path / "broker", SETTINGS + f"\n[serve]\nport = {port}\n")
    host = Northstar(tmp_path / "machine")
    held = json.dumps([{"id": "held", "service": "copy", "payload": {"until": str(tmp_path / "go")}}])
    with contextlib.ExitStack() as stack:
        with northstar.up("--no-machines") as up:
            invited = northstar.good("machines", "invite", "--url", f"http://127.0.0.1:{port}")
            command = shlex.split(invited["command"])[2:]
            stack.enter_context(host.started("agent", "lives-on", *command))
            northstar.until_machines("lives-on")
            northstar.good("submit", "-", stdin=held)
            eventually(lambda: statuses(northstar) == {"held": "running"}, what="it runs")
            file, _ = back_up(northstar)
            for pid in up.family():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            up.popen.wait()
        shutil.rmtree(northstar.data_dir)
        northstar.good("restore", str(file), "--yes")
        with northstar.up("--no-machines"):
            eventually(
                lambda: [one["id"] for one in northstar.good("machines", "list")["machines"]] == ["lives-on"],
                what="the machine is back",
                pause_s=0.2,
            )
            eventually(lambda: statuses(northstar) == {"held": "running"}, what="it runs anew", pause_s=0.2)
            (tmp_path / "go").touch()
            eventually(lambda: statuses(northstar) == {"held": "succeeded"}, what="it is done", pause_s=0.2)
            told = [event["event"] for event in northstar.good("jobs", "events", "held")["events"]]
            assert told.count("succeeded") == 1
            assert told.count("returned") == 1
            assert northstar.good("jobs", "show", "held")["recoveries"] == 0
