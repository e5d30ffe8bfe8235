"""From one release to the next and back, as operators do it: other code, another library, the same cell, and no job lost or done twice.

The release is the wheel of this tree. The next one is a wheel of a copy of it with a raised version and a changed library, as a next release has
them; each is installed by itself, with nothing but the packages of others in common.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import Site, site
from tests.cable import cable
from tests.northstar_command import Northstar, RunningProcess
from tests.packaging.conftest import ROOT, built_wheel
from tests.servers import RunningServer, eventually
from tests.store.library.versions import change

__all__ = ["built_wheel"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600), pytest.mark.long]

#: Processes look every minute whether an older library is in use.
RETIRED_WITHIN_S = 150.0


def ran(*command: str) -> None:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def wheel_of_the_next_release(folder: Path) -> Path:
    """Built from a copy of this tree."""
    tree = folder / "tree"
    tree.mkdir(parents=True)
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, tree)
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__"))
    ours = tree / "src" / "northstar"
    (ours / "__init__.py").write_text(
        re.sub(r'__version__ = ".*"', '__version__ = "99.0.0"', (ours / "__init__.py").read_text())
    )
    library = ours / "store" / "function_library.py"
    raised = library.read_text().replace("LIBRARY_VERSION = 1\n", "LIBRARY_VERSION = 2\n")
    assert raised != library.read_text()
    library.write_text(raised)
    files = {
        part: {path.stem: path for path in (ours / "store" / "lua" / part).glob("*.lua")}
        for part in ("shared", "functions")
    }
    texts = {part: {name: path.read_text() for name, path in found.items()} for part, found in files.items()}
    change(texts["shared"], texts["functions"])
    for part, found in texts.items():
        for name, text in found.items():
            files[part][name].write_text(text)
    ran(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(tree))
    (wheel,) = folder.glob("*.whl")
    return wheel


def installed(wheel: Path, place: Path) -> tuple[str, ...]:
    """The program `northstar` of a wheel; the packages of others are those of this environment."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    ran(*pip, "--no-deps", "--no-index", "--no-compile", "--target", str(place), str(wheel))
    return ("/usr/bin/env", f"PYTHONPATH={place}", sys.executable, "-P", "-m", "northstar")


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, built_wheel: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The programs of this release and of the next one."""
    folder = tmp_path_factory.mktemp("releases")
    return installed(built_wheel, folder / "this"), installed(
        wheel_of_the_next_release(folder / "build"), folder / "next"
    )


class Operator:
    """Somebody with a number of jobs who goes from one release to another."""

    def __init__(self, there: Site) -> None:
        self.there = there
        self.jobs: list[str] = []

    async def submit(self, kind: str, count: int, *, program: tuple[str, ...], **payload: Any) -> list[str]:
        """With the command of one of the releases; gives the jobs."""
        made = [{"id": f"{kind}{n}", "service": "copy", "payload": payload} for n in range(count)]
        names = [str(job["id"]) for job in made]
        self.jobs += names
        commands = self.there.commands("operator", program=program)
        await asyncio.to_thread(commands.good, "submit", "-", stdin=json.dumps(made))
        return names

    async def until_all_are_done(self) -> None:
        for job in self.jobs:
            await self.there.becomes(job, "succeeded")

    async def libraries(self) -> set[str]:
        """Those on the server, without a call of ours that would bring one."""
        told: Any = await self.there.cell.client.execute_command("FUNCTION", "LIST")
        sheets = (dict(zip(one[::2], one[1::2], strict=True)) if isinstance(one, list) else one for one in told)
        return {sheet[b"library_name"].decode() for sheet in sheets}

    async def the_old_library_has_gone(self) -> bool:
        return await self.libraries() == {"northstar_2"}


async def stop(process: RunningProcess) -> None:
    """As systemd does it: SIGTERM, and it ends in order."""
    assert await asyncio.to_thread(process.stop, signal.SIGTERM) == 0


async def test_a_fleet_goes_to_the_next_release_and_back_and_loses_nothing(
    kill_server: RunningServer, tmp_path: Path, releases: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    this, following = releases
    assert Northstar(tmp_path / "someone", program=following).run("version").out.strip().endswith("99.0.0")
    async with site(kill_server.url, tmp_path, settings="") as there:
        operator, go = Operator(there), tmp_path / "go"
        old, port = await there.serve("old", program=this)
        async with cable(port) as line:
            machines = [(name, await there.machine(name, line.url, slots=2, program=this)) for name in ("m", "n")]
            held = await operator.submit("held", 4, program=this, until=str(go))
            for job in held:
                await there.becomes(job, "running")
            await operator.submit("waits", 20, program=this)

            # The next release beside this one: what either takes in, either gives out.
            new, port = await there.serve("new", program=following)
            assert await operator.libraries() == {"northstar_1", "northstar_2"}
            await operator.submit("early", 10, program=following)

            # The old broker goes; its machines dial the new one, and keep what they run.
            line.targets = [port]
            await stop(old)
            await operator.submit("late", 10, program=following)
            assert {(await there.record(job)).claims for job in held} == {1}

            # Then the machines, one after the other: what one cannot finish in time it hands back.
            go.touch()
            for name, machine in machines:
                await stop(machine)
                await there.machine(name, line.url, slots=2, program=following)
            await operator.until_all_are_done()
            await eventually(
                operator.the_old_library_has_gone, what="the old library has gone", within_s=RETIRED_WITHIN_S
            )

            # And back: the former release brings its library again, beside machines of the next one.
            _, port = await there.serve("again", program=this)
            line.targets = [port]
            await stop(new)
            await operator.submit("back", 4, program=this)
            await operator.until_all_are_done()
            await there.check_each_done_once(operator.jobs)
