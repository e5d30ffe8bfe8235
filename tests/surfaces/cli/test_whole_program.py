"""What holds for every command, asked of the program itself, so that a new command cannot escape it."""

from __future__ import annotations

import ast
import inspect
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from northstar.surfaces.cli import exit_codes
from northstar.surfaces.cli.commands import COMMANDS, Group, function_at
from northstar.surfaces.cli.options import ConfirmationNeeded, confirm
from northstar.surfaces.cli.program import program
from tests.conftest import LONG, chosen_profile
from tests.northstar_command import STAYING, Northstar

ROOT = Path(__file__).resolve().parents[3]
CLI = ROOT / "src/northstar/surfaces/cli"
#: What an operator is promised to find under its own name.
PROMISED = "up serve agent submit status jobs machines pools models explain logs events cancel retry keys history costs export doctor backup restore"
#: They print a text that is to be kept as it is, or stay until they are told to end, and log JSON by --log-json.
WITHOUT_JSON = STAYING | {"completion", "version", "pools print", "pools workflow", "pools current", "tenants current"}


def leaves() -> Iterator[tuple[str, str]]:
    """Every command in full, and where it is."""
    for name, place in COMMANDS.items():
        if isinstance(place, Group):
            yield from ((f"{name} {inner}", inner_place) for inner, inner_place in place.commands.items())
        else:
            yield name, place


LEAVES = tuple(leaves())


def test_every_promised_command_is_there() -> None:
    assert set(PROMISED.split()) - set(COMMANDS) == set()


@pytest.mark.parametrize(("name", "place"), LEAVES)
def test_every_command_prints_json_if_asked_and_what_asks_can_be_told_yes(name: str, place: str) -> None:
    known = inspect.signature(function_at(place)).parameters
    if name not in WITHOUT_JSON:
        assert "as_json" in known
    if name in STAYING - {"demo"}:
        assert "log_json" in known
    if "yes" in known:
        assert "as_json" in known


def test_nothing_asks_but_by_the_one_function_that_never_does_so_with_json() -> None:
    asking: list[str] = []
    for path in sorted(CLI.glob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            called = ast.unparse(call.func)
            if called == "confirm":
                said = {word.arg: ast.unparse(word.value) for word in call.keywords}
                assert said.get("as_json") == "as_json", f"{path.name}:{call.lineno}"
            elif called in {"input", "typer.confirm", "typer.prompt", "click.confirm", "click.prompt"} or (
                called.startswith("sys.stdin.readline") and path.name != "options.py"
            ):
                asking.append(f"{path.name}:{call.lineno}")
    assert asking == []


def test_with_json_it_refuses_and_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.isatty", lambda _fd: True)
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ConfirmationNeeded):
        confirm("all of it goes", yes=False, as_json=True)
    confirm("all of it goes", yes=True, as_json=True)


def test_every_exit_code_is_in_the_page_of_commands() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text()
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert codes == {0, 1, 2, 3, 4, 5}
    for code in codes:
        assert f"| {code} | " in page
    assert "| 130, 143 | " in page


def test_a_command_by_its_short_name_does_what_the_long_one_does(running: Northstar) -> None:
    failing = json.dumps(
        {"id": "short", "service": "copy", "payload": {"fail": "/nowhere"}, "retry": {"max_attempts": 1}}
    )
    assert running.run("submit", "-", "--wait", stdin=failing).code == 1
    assert [one["event"] for one in running.good("events", "short")["events"]] == [
        one["event"] for one in running.good("jobs", "events", "short")["events"]
    ]
    assert running.good("retry", "short")["jobs"] == [{"id": "short", "outcome": "ok"}]
    running.run("jobs", "watch", "short")
    asked = running.run("retry", "--service", "copy", "--json")
    assert (asked.code, asked.err.partition(":")[0]) == (2, "NS_CONFIRMATION_NEEDED")
    assert running.good("retry", "--service", "copy", "--yes")["jobs"] == [{"id": "short", "outcome": "ok"}]
    running.run("jobs", "watch", "short")
    waiting = json.dumps({"id": "short-2", "service": "copy", "payload": {"until": "/nowhere"}})
    assert running.run("submit", "-", stdin=waiting).code == 0
    assert [one["id"] for one in running.good("cancel", "short-2")["jobs"]] == ["short-2"]


# Completion -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Asks bash what it completes: it runs the function that our script gives it, as it does when Tab is pressed."""
    folder = tmp_path_factory.mktemp("bash")
    (folder / "northstar").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m northstar "$@"\n')
    (folder / "northstar").chmod(0o755)
    (folder / "script").write_text(Northstar(folder / "home").run("completion", "bash").out)

    def complete(*typed: str) -> list[str]:
        words = " ".join(f"'{word}'" for word in ("northstar", *typed))
        asked = (
            f"set -e; source {folder}/script; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; "
            "function=$(complete -p northstar | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); $function northstar; "
            "printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", asked],
            env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.split()

    return complete


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (["jo"], ["jobs"]),
        (["machines", "inv"], ["invite", "uninvite", "invites"]),
        (["logs", "--fo"], ["--follow"]),
        (["logs", "--level", "w"], ["warning"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_bash_completes_commands_options_and_choices(bash: Any, typed: list[str], completed: list[str]) -> None:
    found = bash(*typed)
    assert set(found) == {word for word in completed if word.startswith(typed[-1])}


@pytest.fixture
def at_a_prompt(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody at a shell, who has `northstar` on the path and `tenants.toml` in the folder."""
    command = tmp_path / "bin" / "northstar"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m northstar "$@"\n')
    command.chmod(0o755)
    (tmp_path / "tenants.toml").touch()
    path = f"{command.parent}:/usr/bin:/bin"
    return {"PATH": path, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "src"), "TERM": "dumb"}


#: What is typed, and how the line goes on when a completion is asked for. Each asks a process or two.
ALL_TYPED = (
    ("northstar jo", "northstar jobs"),
    ("northstar tenants apply ten", "northstar tenants apply tenants.toml"),
    ("northstar machines unin", "northstar machines uninvite"),
    ("northstar logs --fo", "northstar logs --follow"),
    ("northstar logs --level w", "northstar logs --level warning"),
)
TYPED = ALL_TYPED if chosen_profile() == LONG else ALL_TYPED[:2]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not on the path")
def test_fish_completes_commands_options_choices_and_files(tmp_path: Path, at_a_prompt: dict[str, str]) -> None:
    place = tmp_path / ".config" / "fish" / "completions" / "northstar.fish"
    place.parent.mkdir(parents=True)
    place.write_text(Northstar(tmp_path / "home").run("completion", "fish").out)
    asked = "; ".join(f"complete -C '{typed}'" for typed, _ in TYPED)
    done = subprocess.run(
        ["fish", "-c", asked], cwd=tmp_path, env=at_a_prompt, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert found == [line.rpartition(" ")[2] for _, line in TYPED]


#: A person at a terminal types, presses Tab, and has a key that keeps the line as it is then and begins another.
ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "fpath=($PWD/functions \$fpath); autoload -U compinit; compinit -u -D; bindkey '^I' complete-word"
zpty -w z "kept() { print -r -- \$BUFFER >> kept; BUFFER= }; zle -N kept; bindkey '^T' kept; echo REA''DY"
zpty -r z said '*READY*'
for typed; do zpty -w -n z "$typed"$'\t\x14'; done
zpty -w z exit
while zpty -r z said; do :; done
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not on the path")
def test_zsh_completes_commands_options_choices_and_files(tmp_path: Path, at_a_prompt: dict[str, str]) -> None:
    (tmp_path / "functions").mkdir()
    script = Northstar(tmp_path / "home").run("completion", "zsh").out
    (tmp_path / "functions" / "_northstar").write_text(script)
    done = subprocess.run(
        ["zsh", "-f", "-c", ZSH, "person", *(typed for typed, _ in TYPED)],
        cwd=tmp_path,
        env=at_a_prompt,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert [line.rstrip() for line in (tmp_path / "kept").read_text().splitlines()] == [line for _, line in TYPED]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_us(tmp_path: Path, shell: str) -> None:
    answer = Northstar(tmp_path).run("completion", shell)
    assert answer.code == 0
    assert f"_NORTHSTAR_COMPLETE=complete_{shell}" in answer.out


def test_another_shell_is_refused_with_those_there_are(tmp_path: Path) -> None:
    answer = Northstar(tmp_path).run("completion", "tcsh")
    assert answer.code == 2
    assert "bash" in answer.err


def test_all_commands_are_completed_without_being_typed() -> None:
    whole = program()
    assert {item.value for item in whole.shell_complete(typer.Context(whole), "re")} == {"restore", "resume", "retry"}
