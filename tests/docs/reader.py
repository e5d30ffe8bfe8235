"""Somebody who follows a page: types its commands in a folder of their own, and waits where a person would."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from northstar.store.embedded.binary import find_binary
from tests.docs.page import Block
from tests.northstar_command import PROGRAM, STAYING, WITHIN_S, Northstar, RunningProcess, eventually
from tests.warm_start import forge

#: Commands that ask a person first. The reader's answer is yes.
ASKING: Final = frozenset(
    {("keys", "revoke"), ("machines", "revoke"), ("machines", "remove"), ("pools", "apply"), ("models", "remove")}
)
#: What a page writes where every installation has something of its own: texts that were shown, and where the broker listens.
_SHOWN = re.compile(r"\bns[ik]_[0-9A-Za-z]+_[0-9A-Za-z]+")
_ADDRESS = re.compile(r"\b(http|ws)://127\.0\.0\.1:(?:43127|8443|8600)")
#: Programs that stay, beside our own commands that do.
_STAYING_PROGRAMS: Final = ("valkey-server ", "python3 -m http.server ")
#: What is said by one of our own when it is ready for others.
_READY: Final = {"agent": "machine_ready", "serve": "North Star serves", "worker": "machine_ready"}
_OF_A_SHELL = re.compile(r"[$|><;&`*~]|^[A-Z_]+=")


def own_environment(home: Path) -> dict[str, str]:
    """Nothing of whoever runs the tests."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("NORTHSTAR_", "XDG_", "MAKE", "MFLAGS"))}
    return kept | {"HOME": str(home)}


@dataclass
class Host:
    """A home with one `northstar up` in it that several readers share, each in a folder of his own."""

    home: Path
    up: RunningProcess | None = None
    _ready: bool = False

    @property
    def data_dir(self) -> Path:
        return self.home / ".local/share/northstar"

    @property
    def front(self) -> str:
        """Where its broker listens."""
        return str(json.loads((self.data_dir / "run.json").read_text())["front"])

    @contextlib.contextmanager
    def is_up(self) -> Iterator[None]:
        northstar = Northstar(self.home / "unused")
        northstar._environment = own_environment(self.home)
        with northstar.started("up") as process:
            process.until(lambda: process.is_up_on(self.data_dir), what="up is up")
            self.up = process
            yield

    def until_machines(self) -> None:
        """Wait for what every reader is slower than."""
        if not self._ready:
            eventually(lambda: has_machines([], self.home), what="a machine is there", pause_s=0.1)
        self._ready = True


@dataclass
class Reader:
    """One who follows a page.

    `words` are those in capitals that the page leaves to him, `ports` those that are free here in place of the page's. With `installs`
    he runs what the page had him install, and not this tree.
    """

    host: Host
    folder: Path
    stack: contextlib.ExitStack
    words: Mapping[str, Callable[[Reader], str]] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    installs: bool = False
    #: What each command line of the page printed.
    printed: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    ran: int = 0
    _own: list[str] | None = None

    def __post_init__(self) -> None:
        bin_ = self.folder / ".bin"
        bin_.mkdir(parents=True)
        programs = {"northstar": PROGRAM, "python3": (sys.executable,), "valkey-server": (str(find_binary()),)}
        for name, program in programs.items():
            (bin_ / name).write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')
            (bin_ / name).chmod(0o755)
        own = own_environment(self.host.home)
        self.environment = own | {"PATH": f"{bin_}:{own['PATH']}"} | self.environment

    def follow(self, page: list[Block]) -> None:
        """Make the files and type the commands, in order."""
        for block in page:
            if block.mark == "file":
                self.write(block.about, block.text)
            elif block.mark == "run":
                for command in block.commands():
                    self.type(command)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(self._with_ports(text).replace("FOLDER", str(self.folder)))

    def type(self, command: str) -> str:
        """Run one command line; gives what it printed. It must succeed."""
        self.ran += 1
        shown, command = command, self.filled_in(command)
        arguments = shlex.split(command, comments=True)[1:]
        if command.startswith(_STAYING_PROGRAMS):
            self._start_another(command)
            return ""
        if command.startswith("northstar ") and arguments[0] in STAYING:
            self._start(arguments)
            return ""
        self._until_ready(arguments)
        if command.startswith("northstar ") and not _OF_A_SHELL.search(command) and not self.installs:
            out = self.northstar(*arguments)
        else:
            out = self._by_the_shell(command)
        for text in _SHOWN.findall(out):
            self.shown[text[:4]] = text
        self.printed[shown] = out
        return out

    def filled_in(self, command: str) -> str:
        """With what this installation has of its own in place of what the page wrote."""
        command = self._with_ports(command)
        command = re.sub(r"\b(ns[ik]_)…", lambda found: self.shown[found[1]], command)
        for word, value in self.words.items():
            if re.search(rf"(?<![$\w])\b{word}\b(?!=)", command):
                command = re.sub(rf"(?<![$\w])\b{word}\b(?!=)", value(self), command)
        if self.host.up is not None and _ADDRESS.search(command):
            front = self.host.front
            command = _ADDRESS.sub(lambda found: front.replace("http", found[1], 1), command)
        return command

    def _with_ports(self, text: str) -> str:
        return re.sub(r"\b\d{4}\b", lambda found: str(self.ports.get(found[0], found[0])), text)

    def northstar(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run a command of ours to its end."""
        yes = ["--yes"] if tuple(arguments[:2]) in ASKING and "--yes" not in arguments else []
        words = [*arguments, *yes]
        code, out, err = forge().run(words, env=self.environment, cwd=self.folder, stdin=stdin, timeout_s=WITHIN_S)
        assert code == 0, f"northstar {shlex.join(words)}\n{out.decode()}{err.decode()}"
        return out.decode()

    def _by_the_shell(self, command: str) -> str:
        """Run a line by bash, which keeps its variables until the page is over."""
        kept = self.folder / ".variables"
        line = f"set -aeuo pipefail\n{command}\nenv -0 >{shlex.quote(str(kept))}\n"
        for asking in ASKING:
            line = line.replace(f"northstar {' '.join(asking)}", f"northstar {' '.join(asking)} --yes")
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        self.environment = dict(pair.split("=", 1) for pair in kept.read_text().split("\0") if pair)
        return done.stdout

    def _start(self, arguments: list[str]) -> None:
        """What stays: the shared `up` is there already; any other is started, and ends with the page."""
        if arguments in (["up"], ["up", "--no-machines"]):
            assert self.host.up is not None
            return
        if arguments[0] == "up" and "second" not in arguments:
            self.environment["HOME"] = str(self.folder)  # another runs in the shared one
        program = (str(self.folder / "northstar/bin/northstar"),) if self.installs else ()
        northstar = Northstar(self.folder / f".log-{self.ran}", program=program)
        northstar._environment = self.environment
        given = [str(self.folder / a) if a.endswith(".toml") or a.startswith("second") else a for a in arguments[1:]]
        if arguments[0] == "agent":
            given[0] = arguments[1]
        process = self.stack.enter_context(northstar.started(arguments[0], *given))
        if arguments[0] == "up":
            data = self.folder / ("second" if "second" in arguments else ".local/share/northstar")
            process.until(lambda: process.is_up_on(data), what="up is up")
            self._own = given
        else:
            process.until(lambda: _READY[arguments[0]] in process.words(), what=f"{arguments[0]} is ready")

    def _start_another(self, command: str) -> None:
        """A program that stays, until it answers on its port."""
        (port,) = (port for port in self.ports.values() if f" {port} " in command)
        with (self.folder / f".log-{self.ran}").open("ab") as log:
            process = subprocess.Popen(
                shlex.split(command),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                executable=shutil.which(command.partition(" ")[0], path=self.environment["PATH"]),
            )
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)

        def answers() -> bool:
            assert process.poll() is None, (self.folder / f".log-{self.ran}").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        eventually(answers, what=f"{command} listens")

    def _until_ready(self, arguments: list[str]) -> None:
        if self._own is not None:
            if arguments and arguments[0] not in {"status", "doctor"}:
                options, self._own = self._own, None
                home = Path(self.environment["HOME"])
                eventually(lambda: has_machines(options, home), what="a machine is there", pause_s=0.1)
        elif self.host.up is not None:
            self.host.until_machines()


def has_machines(options: list[str], home: Path) -> bool:
    asked = ["machines", "list", "--json", *options]
    code, out, _ = forge().run(asked, env=own_environment(home), cwd=home, stdin=b"", timeout_s=WITHIN_S)
    return code == 0 and bool(json.loads(out)["machines"])
