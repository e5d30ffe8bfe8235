"""Machines of this host as processes: one that dies again and again is given up, with its own last words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from northstar.assembly.machines import LocalMachines
from northstar.assembly.run_file import KeptRunFile, RunFile, read_run_file
from northstar.config import MachineSettings, Settings, load
from northstar.domain.machines import MachineProfile
from northstar.policy.routing.coming import ComingMachine
from northstar.store.embedded.lock import DataDirectoryLock


async def given_up(settings: Settings, *, token: str = "x") -> tuple[str, str]:
    """Start a machine that the settings do not know, so that it refuses to be one; who was given up, and why."""
    told: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
    machines = LocalMachines(
        settings, mint=lambda _: token, restart=None, given_up=lambda name, why: told.set_result((name, why))
    )
    machines.start([MachineSettings(name="ghost", services=("copy",))])
    try:
        return await asyncio.wait_for(told, 60.0)
    finally:
        await machines.stop()


async def test_a_machine_that_ends_with_an_error_is_given_up_with_its_words(tmp_path: Path) -> None:
    name, why = await given_up(load(environment={"HOME": str(tmp_path)}, options={"data_dir": str(tmp_path)}))
    assert name == "ghost"
    assert why.startswith("its process ended once; NS_")
    assert "no machine 'ghost' is set up" in why


async def test_a_machine_that_is_killed_is_given_up_with_its_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no words."""
    monkeypatch.setattr("sys.executable", str(kills_itself(tmp_path)))
    assert await given_up(load(environment={"HOME": str(tmp_path)}, options={"data_dir": str(tmp_path)})) == (
        "ghost",
        "its process ended once; the last time by signal 9",
    )


def kills_itself(folder: Path) -> Path:
    program = folder / "program"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o700)
    return program


async def test_commands_of_this_host_find_that_it_was_given_up(tmp_path: Path) -> None:
    lock = DataDirectoryLock(tmp_path)
    await lock.acquire()
    profile = MachineProfile(pools=("standard",), services=("picture",))
    machines = tuple(ComingMachine(name=name, profile=profile) for name in ("local", "other"))
    content = RunFile(url="u", front="f", cell="default", pid=1, version="1", machines=machines)
    running = KeptRunFile(tmp_path, content)
    running.write()
    running.gives_up("local", "it died")
    assert [(one.name, one.given_up) for one in read_run_file(tmp_path).machines] == [
        ("local", "it died"),
        ("other", ""),
    ]
    lock.close()
