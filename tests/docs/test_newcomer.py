"""A newcomer, replayed: a fresh clone, the documentation and nothing else. What was typed and printed is in `newcomer.txt`."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.docs.page import PAGES, ROOT, blocks
from tests.docs.reader import own_environment
from tests.northstar_command import PROGRAM, eventually

TRANSCRIPT: Final = Path(__file__).with_name("newcomer.txt").read_text()
FIRST_STEPS: Final = "First steps"
TEN_MINUTES: Final = "The first ten minutes"
_END: Final = "-- that was it:"


@dataclass(frozen=True)
class Typed:
    """A line that was typed, where (empty: in the terminal that is always there), and what was printed."""

    terminal: str
    line: str
    printed: str


def chapter(title: str) -> list[Typed]:
    """What was typed in a part of the transcript."""
    (text,) = re.findall(rf"^== {re.escape(title)}\n(.*?)(?=^== |\Z)", TRANSCRIPT, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^(\d*)\$ (.*)\n((?:(?!\d*\$ ).*\n)*)", text, re.MULTILINE)
    return [Typed(terminal, line, printed.strip("\n")) for terminal, line, printed in found]


def pattern(printed: str) -> re.Pattern[str]:
    """What fits the words of the transcript."""
    parts = []
    for line in printed.splitlines():
        if line == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(re.sub(r"‹[^›]*›", "\0", line).strip())
            parts[-1] = r"\s*" + r".*".join(map(re.escape, parts[-1].split("\0"))) + r"[ ]*\n"
            parts[-1] = re.sub(r"(?:\\ )+", r"[ ]+", parts[-1])
    return re.compile("".join(parts))


class Terminal:
    """A shell as somebody has it open: its folder and variables stay."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.log = home / f"terminal-{len(list(home.glob('terminal-*')))}"
        self._written = self.log.open("wb")
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=self._written,
            stderr=self._written,
            start_new_session=True,
        )
        self._read = 0

    def type(self, line: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{line} </dev/null\necho '{_END}' $?\n".encode())
        self._shell.stdin.flush()

    def answer(self, *, within_s: float) -> tuple[str, int]:
        """What was printed since the last time, and the exit code."""
        found: list[re.Match[str]] = []

        def is_over() -> bool:
            assert self._shell.poll() is None, self.log.read_text()
            match = re.search(rf"{re.escape(_END)} (\d+)\n", self.log.read_text()[self._read :])
            found.extend([match] if match else [])
            return match is not None

        eventually(is_over, what=f"it has ended:\n{self.log.read_text()[self._read :]}", within_s=within_s)
        text = self.log.read_text()[self._read :][: found[0].start()]
        self._read += found[0].end()
        return text, int(found[0][1])

    def printed(self) -> str:
        return self.log.read_text()

    def close(self) -> None:
        """End the shell and what stays in it."""
        assert self._shell.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._shell.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, 15)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._shell.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, 9)
        self._shell.wait(30)
        self._written.close()


@dataclass
class Newcomer:
    """Somebody with a home, and terminals in it."""

    home: Path
    stack: contextlib.ExitStack
    environment: dict[str, str]

    def __post_init__(self) -> None:
        self._first = self.opened()
        self._others: dict[str, Terminal] = {}

    def opened(self) -> Terminal:
        made = Terminal(self.home, self.environment)
        self.stack.callback(made.close)
        return made

    def replay(self, typed: list[Typed], *, within_s: float) -> None:
        for one in typed:
            line = one.line.replace("‹repository›", shlex.quote(str(ROOT)))
            if one.terminal:
                self._stays(one, line)
                continue
            self._first.type(line)
            text, code = self._first.answer(within_s=within_s)
            expected = pattern(one.printed)
            assert expected.fullmatch(text), f"$ {line}\n{text}\nwas to be\n{one.printed}"
            assert (code != 0) == ("NS_" in one.printed or "Error:" in one.printed), f"$ {line}: {code}\n{text}"

    def _stays(self, one: Typed, line: str) -> None:
        terminal = self._others.setdefault(one.terminal, self.opened())
        for before in ("cd north-star", ". .venv/bin/activate"):
            terminal.type(before)
            terminal.answer(within_s=30)
        terminal.type(line)
        expected = pattern(one.printed)
        eventually(
            lambda: expected.search(terminal.printed()) is not None, what=f"$ {line} says so: {terminal.printed()}"
        )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """With the files that the quickstart has one write."""
    clone = tmp_path / "north-star"
    yield tmp_path
    assert clone.is_dir()


def environment(home: Path, *, has_northstar: bool) -> dict[str, str]:
    """A newcomer's; before the installation, this tree's command stands for the installed one."""
    own = own_environment(home)
    own = {name: value for name, value in own.items() if name not in {"VIRTUAL_ENV", "NO_COLOR"}}
    if not has_northstar:
        own.pop("PYTHONPATH", None)
        return own | {"PATH": ":".join(part for part in own["PATH"].split(":") if "venv" not in part)}
    bin_ = home / "bin"
    bin_.mkdir()
    (bin_ / "northstar").write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
    (bin_ / "northstar").chmod(0o755)
    return own | {"PATH": f"{bin_}:{own['PATH']}"}


def test_the_first_steps_of_a_newcomer(home: Path) -> None:
    with contextlib.ExitStack() as stack:
        Newcomer(home, stack, environment(home, has_northstar=True)).replay(chapter(FIRST_STEPS), within_s=60)


@pytest.mark.long
@pytest.mark.network
@pytest.mark.timeout(1_200)
def test_the_first_ten_minutes_of_a_newcomer(home: Path) -> None:
    """With all installed from nothing. The Python is this one, whatever the host calls python3."""
    with contextlib.ExitStack() as stack:
        own = environment(home, has_northstar=False) | {"PYTHON": sys.executable}
        newcomer = Newcomer(home, stack, own)
        newcomer.replay(chapter(FIRST_STEPS)[:2], within_s=60)
        for block in blocks(ROOT / "docs" / "quickstart.md"):
            if block.mark == "file":
                (home / "north-star" / block.about).write_text(block.text)
        newcomer.replay(chapter(TEN_MINUTES), within_s=900)


def test_every_command_that_the_pages_leave_to_the_newcomer_is_in_the_transcript() -> None:
    typed = {one.line for title in (FIRST_STEPS, TEN_MINUTES) for one in chapter(title)}
    for page in PAGES:
        for block in blocks(page):
            if block.about == "tests/docs/test_newcomer.py":
                for command in block.commands():
                    # The tests themselves are what runs here.
                    assert command.strip() in typed | {"make test"}, f"{page.name}: {command}"


def test_a_transcript_that_says_something_else_does_not_pass() -> None:
    expected = pattern("…\nlocal ‹its work›\n…")
    assert expected.fullmatch("NAME  WORK\nlocal  0 of 2\n")
    assert not expected.fullmatch("NAME  WORK\nremote  0 of 2\n")
    assert pattern("").fullmatch("")
    assert not pattern("").fullmatch("something\n")
