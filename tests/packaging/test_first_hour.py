"""The first hour of a stranger, word for word as its page has it: a broker with TLS, a machine that joins, a model, a graph, its result.

In the long profile it begins with the built wheel in an empty environment, and all commands are those that were installed. Otherwise the
page is followed from there on with the commands of this tree, since starting each anew takes most of the time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shlex
import site
import sys
from pathlib import Path

import pytest

from northstar.store.embedded import ServerOptions
from northstar.store.embedded.endpoint import choose_port_endpoint
from tests.docs.page import ROOT, Block, blocks
from tests.docs.reader import Host, Reader

PAGE = blocks(ROOT / "docs" / "first-hour.md")
#: What the page has it listen on.
PORTS = ("6379", "8443", "8600")


def free_ports() -> dict[str, int]:
    rng = random.SystemRandom()
    found: dict[str, int] = {}
    while len(found) < len(PORTS):
        port = choose_port_endpoint(ServerOptions(listen="tcp"), rng=rng).port
        if port > 9_999 and port not in found.values():
            found[PORTS[len(found)]] = port
    return found


def is_installation(block: Block) -> bool:
    return "pip install" in block.text


def follow(folder: Path, page: list[Block], *, installs: bool = False) -> Reader:
    """A reader who has come to the end of the page. What he started has ended by then."""
    with contextlib.ExitStack() as stack:
        reader = Reader(Host(folder / "home"), folder, stack, ports=free_ports(), installs=installs)
        reader.follow(page)
        return reader


def expect_what_the_page_says(reader: Reader) -> None:
    """Of each promise of the page, what the command beside it printed."""

    def said(command: str) -> str:
        return reader.printed[command]

    address = f"wss://127.0.0.1:{reader.ports['8443']}"
    printed = next(line for line in said("northstar machines invite").splitlines() if "--token nsi_" in line)
    typed = next(command for block in PAGE for command in block.commands() if command.startswith("northstar agent"))
    words = shlex.split(typed)
    assert shlex.split(printed) == ["northstar", "agent", "--join", address, "--token", reader.shown["nsi_"]]
    assert [words[:2], words[2:4], words[-3:]] == [
        ["northstar", "agent"],
        ["first", "--join"],
        ["nsi_…", "--config", "machine.toml"],
    ]

    assert "dusk.safetensors" in said("northstar machines show first")
    assert "first" in said("northstar explain dusk.safetensors --model")
    stuck = said("northstar explain dawn")
    assert "first fits, but takes no new work now" in stuck
    assert "it drains: northstar machines drain first --undo" in stuck
    assert "succeeded" in said("northstar jobs watch dawn")

    shelf, fetched = (reader.folder / name / "checkpoints" / "dawn.safetensors" for name in ("shelf", "models"))
    assert fetched.read_bytes() == shelf.read_bytes()
    assert hashlib.sha256(shelf.read_bytes()).hexdigest() in said("northstar models show dawn.safetensors")
    assert shelf.stat().st_size == 100_078, "the page says how large it is"

    (by_command,) = (reader.folder / "by-command").iterdir()
    assert by_command.stat().st_size == 100_000
    assert (reader.folder / "by-http.txt").read_bytes() == by_command.read_bytes()
    (told,) = (json.loads(out) for command, out in reader.printed.items() if command.endswith("/v1/jobs/dawn/result"))
    (file,) = told["files"]
    assert file["sha256"] == hashlib.sha256(by_command.read_bytes()).hexdigest()
    assert file["url"] == "/v1/jobs/dawn/files/result.txt"


def test_a_machine_joins_over_tls_and_a_graph_finds_its_model_waits_and_is_done(tmp_path: Path) -> None:
    expect_what_the_page_says(follow(tmp_path, [block for block in PAGE if not is_installation(block)]))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_so_it_goes_from_the_built_wheel_too(tmp_path: Path, built_wheel: Path) -> None:
    """The packages of others come from this environment, so that nothing is fetched; ours is the wheel alone."""
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / built_wheel.name).symlink_to(built_wheel)
    packages = tmp_path / "packages"
    packages.mkdir()
    for place in site.getsitepackages():
        for entry in Path(place).iterdir():
            is_theirs = not re.match(r"northstar|__editable__|pip\b|.*\.pth$", entry.name)
            if is_theirs and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    lib = tmp_path / "northstar" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    lib.mkdir(parents=True)
    (lib / "others.pth").write_text(f"{packages}{os.linesep}")
    reader = follow(tmp_path, PAGE, installs=True)
    expect_what_the_page_says(reader)
    assert (lib / "northstar").is_dir()
    assert not (lib / "litestar").exists()
