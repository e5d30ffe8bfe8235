"""What the documentation shows is true: its commands run, its files are used as shown, its links lead somewhere.

A console block after `<!-- run -->` is run line by line in an empty home; a block after `<!-- file: NAME -->` is that file there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.northstar_command import STAYING, WITHIN_S, Northstar, eventually
from tests.warm_start import forge

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(
    r"^<!-- (?P<what>run|file: (?P<file>[\w.-]+)) -->\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:|#)([^)#\s]+)")
RUNNABLE = [page for page in PAGES if "<!-- run -->" in page.read_text()]


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_every_marked_command_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    ran = 0
    with contextlib.ExitStack() as stack:
        for block in _BLOCK.finditer(page.read_text()):
            if block["file"]:
                (tmp_path / block["file"]).write_text(block["text"].replace("FOLDER", str(tmp_path)))
                continue
            for command in commands(block["text"]):
                run(command, home=tmp_path, stack=stack)
                ran += 1
    assert ran > 0


def commands(text: str) -> Iterator[str]:
    for line in text.splitlines():
        assert line.startswith("$ "), f"a block that runs has only commands, not {line!r}"
        yield line.removeprefix("$ ")


def run(command: str, *, home: Path, stack: contextlib.ExitStack) -> None:
    """Run a command to its end; `northstar up` is left running until the page is over."""
    program, *arguments = shlex.split(command)
    assert program == "northstar"
    if arguments[0] == "up":
        given = [str(home / a) if a.endswith(".toml") or a == "second" else a for a in arguments]
        northstar = Northstar(home / "unused")
        northstar._environment = environment(home)
        process = stack.enter_context(northstar.started(*given))
        data = home / "second" if "second" in arguments else home / ".local/share/northstar"
        process.until(lambda: process.is_up_on(data), what="up is up")
        if "--no-machines" not in arguments:  # whoever reads the page is slower than they are
            eventually(lambda: has_machines(given[1:], home=home), what="a machine is there")
        return
    if arguments[0] not in STAYING:
        code, out, err = forge().run(arguments, env=environment(home), cwd=home, stdin=b"", timeout_s=WITHIN_S)
        assert code == 0, f"{command}\n{out.decode()}{err.decode()}"
        return
    done = subprocess.run(
        [sys.executable, "-P", "-m", "northstar", *arguments],
        cwd=home,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def has_machines(options: Sequence[str], *, home: Path) -> bool:
    asked = ["machines", "list", "--json", *options]
    code, out, _ = forge().run(asked, env=environment(home), cwd=home, stdin=b"", timeout_s=WITHIN_S)
    return code == 0 and bool(json.loads(out)["machines"])


def environment(home: Path) -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("NORTHSTAR_", "XDG_"))}
    return kept | {"HOME": str(home)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"^\$ make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert named == ["demo", "test"]
    assert set(named) <= set(targets)
