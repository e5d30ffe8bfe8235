"""Every command that is printed can be pasted: it leads to the cell to which the command led that printed it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from northstar.surfaces.cli.pasting import GROUPS, PLACE_OPTIONS, TAKES, pasteable, remember, remember_join
from northstar.surfaces.cli.program import program
from tests.northstar_command import PROGRAM, Answer, Northstar, eventually


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command of the program by its words."""
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield " ".join(path), command
    for name, one in inner.items():
        yield from leaves(one, (*path, name))


PROGRAM_TREE = program()


@pytest.mark.parametrize(("words", "command"), list(leaves(PROGRAM_TREE)), ids=lambda one: str(one)[:30])
def test_what_each_command_takes_is_known(words: str, command: click.Command) -> None:
    known = {name for parameter in command.params for name in parameter.opts}
    if words != "agent":  # typed on another host
        assert tuple(option for option in PLACE_OPTIONS if option in known) == TAKES.get(words, PLACE_OPTIONS)


def test_every_group_is_known_as_one() -> None:
    groups = {words.split()[0] for words, _ in leaves(PROGRAM_TREE) if " " in words}
    assert groups <= GROUPS


@pytest.fixture
def told() -> Iterator[None]:
    remember(config=Path("my settings.toml"), data_dir=None, valkey=None, cell="blue")
    yield
    remember(config=None, data_dir=None, valkey=None, cell=None)


@pytest.mark.parametrize(
    ("printed", "pasted"),
    [
        ("northstar status", "northstar status --config 'my settings.toml' --cell blue"),
        ("northstar jobs show j-1", "northstar jobs show --config 'my settings.toml' --cell blue j-1"),
        ("northstar explain j-1; or `northstar up`", "northstar explain {same} j-1; or `northstar up {same}`"),
        ("northstar pools diff FILE", "northstar pools diff {same} FILE"),
        ("northstar pools workflows", "northstar pools workflows"),
        ("northstar up --config FILE", "northstar up {same}"),
        ("northstar agent m --join URL", "northstar agent m --join URL"),
        ("see `northstar dead`", "see `northstar dead`"),
        ("in /opt/northstar status is kept", "in /opt/northstar status is kept"),
        ("what is northstar-broker", "what is northstar-broker"),
    ],
)
def test_a_command_gets_what_it_takes_and_nothing_else(told: None, printed: str, pasted: str) -> None:
    assert pasteable(printed) == pasted.replace("{same}", "--config 'my settings.toml' --cell blue")


@pytest.mark.parametrize(
    ("url", "printed", "pasted"),
    [
        ("", "northstar machines invite --pool heavy", "northstar machines invite --url URL --pool heavy"),
        ("", "next: northstar machines invite", "next: northstar machines invite --url URL"),
        ("", "northstar machines invite --url wss://h", "northstar machines invite --url wss://h"),
        ("", "northstar machines invites", "northstar machines invites"),
        ("wss://h", "northstar machines invite --pool heavy", "northstar machines invite --pool heavy"),
    ],
)
def test_an_invite_says_that_it_wants_an_address_where_the_settings_tell_none(
    url: str, printed: str, pasted: str
) -> None:
    remember_join(url)
    assert pasteable(printed) == pasted
    remember_join("wss://h")


def test_an_invite_says_the_address_that_machines_dial_where_it_is_known() -> None:
    remember_join("", dialled=lambda: "wss://10.0.0.7:8443")
    assert pasteable("northstar machines invite") == "northstar machines invite --url wss://10.0.0.7:8443"
    remember_join("wss://h")


def test_an_address_that_may_hold_a_password_is_not_repeated() -> None:
    remember(config=None, data_dir=None, valkey="valkeys://me:hunter2@host", cell=None)
    assert pasteable("northstar status") == "northstar status --valkey URL"
    remember(config=None, data_dir=None, valkey="unix:///tmp/s", cell=None)
    assert pasteable("northstar status") == "northstar status --valkey unix:///tmp/s"
    remember(config=None, data_dir=None, valkey=None, cell=None)


# As a process -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Northstar, tuple[str, ...]]]:
    """A North Star that only options lead to."""
    northstar = Northstar(tmp_path_factory.mktemp("a place"))
    for name in ("NORTHSTAR_CONFIG", "NORTHSTAR_DATA_DIR"):
        del northstar._environment[name]
    northstar._environment["NORTHSTAR_LOG_LEVEL"] = "error"
    options = ("--config", "northstar.toml", "--data-dir", "data")
    with northstar.up("--no-machines", *options):
        yield northstar, options


def pasted(northstar: Northstar, line: str) -> Answer:
    """A line of a shell in which `northstar` is this program."""
    program = f'northstar() {{ {shlex.join(PROGRAM)} "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", program + line],
        env=northstar._environment | {"PATH": os.environ["PATH"]},
        cwd=northstar.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def test_hints_and_errors_lead_back_to_the_same_place(place: tuple[Northstar, tuple[str, ...]]) -> None:
    northstar, options = place
    said = northstar.folder / "out.log"
    eventually(lambda: "Ctrl-C stops" in said.read_text(), what="up has said what to try")
    (status,) = re.findall(r"northstar status[^·\n]*", said.read_text())
    at_a_glance = pasted(northstar, status)
    assert at_a_glance.code == 0
    assert "all well  nothing is paused, stuck or failed, and no job waits for what is not here" in at_a_glance.out
    assert "brokers   up on " in at_a_glance.out

    empty = northstar.run("models", "list", *options)
    (listed,) = re.findall(r"northstar models import .*FILE", empty.out)
    assert "--config northstar.toml --data-dir data" in listed

    refused = northstar.run("machines", "uninvite", "abcdefghijklmnop", *options)
    (invites,) = re.findall(r"northstar machines invites.*", refused.err)
    assert pasted(northstar, invites).code == 0

    elsewhere = northstar.run("status", "--data-dir", "nowhere")
    assert "`northstar up --data-dir nowhere`" in elsewhere.err


def test_a_chain_of_commands_can_be_pasted_whole(place: tuple[Northstar, tuple[str, ...]]) -> None:
    northstar, options = place
    (northstar.folder / "mine.toml").write_text(pasted(northstar, "northstar pools print").out)
    for _ in range(2):
        assert northstar.run("pools", "apply", "mine.toml", "--yes", *options).code == 0
        with (northstar.folder / "mine.toml").open("a") as file:
            file.write("\n# again\n")
    told = northstar.run("pools", "history", *options).out
    (line,) = re.findall(r"next: (northstar pools current .*)", told)
    answer = pasted(northstar, line + " --yes")
    assert (answer.code, "is in force (version" in answer.out) == (0, True), answer
    assert northstar.run("pools", "reset", "--yes", *options).code == 0


def test_workflows_of_a_file_are_printed_from_that_file(tmp_path: Path) -> None:
    northstar = Northstar(tmp_path)
    (tmp_path / "my pools.toml").write_text(northstar.run("pools", "print").out)
    told = northstar.run("pools", "workflows", "--file", "my pools.toml").out
    (line,) = re.findall(r"next: (northstar pools workflow .*) --service SERVICE \| northstar submit -", told)
    assert pasted(northstar, f"{line} --service picture").code == 0
