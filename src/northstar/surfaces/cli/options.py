"""Options that many commands share, and what follows from them."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from northstar import telemetry
from northstar.config import Settings, load
from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.pasting import remember, remember_join

Result = TypeVar("Result")

#: How long a thread may keep the interpreter while another wants it, in processes that stay.
_SWITCH_S: Final = 0.0005

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings, TOML. Default: $NORTHSTAR_CONFIG.")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Where `up` keeps its data. Default: ~/.local/share/northstar."),
]
Valkey = Annotated[
    str | None,
    typer.Option("--valkey", metavar="URL", help="A Valkey or Redis server. Default: the one of `up` on this machine."),
]
CellName = Annotated[str | None, typer.Option("--cell", metavar="NAME", help="The cell. Default: the one of `up`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and never ask.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class ConfirmationNeeded(InvalidRequest):
    """The command would ask, and there is nobody to answer."""

    code = "NS_CONFIRMATION_NEEDED"

    def __init__(self, plan: str) -> None:
        super().__init__(f"{plan}; nothing was changed: add --yes to go on")


def settings_of(
    config: Path | None, data_dir: Path | None, valkey: str | None, cell: str | None, *, of_a_cell: bool = True
) -> Settings:
    """The settings that hold for a command. Where they lead to a cell, commands that it prints lead there too. Raises InvalidSettings."""
    if of_a_cell:
        remember(config=config, data_dir=data_dir, valkey=valkey, cell=cell)
    options = {"data_dir": None if data_dir is None else str(data_dir), "valkey.url": valkey, "cell": cell}
    settings = load(environment=os.environ, file=config, options=options)
    if of_a_cell:
        remember_join(settings.join.url, dialled=lambda: _dialled(settings))
    return settings


def _dialled(settings: Settings) -> str:
    """Where machines elsewhere reach the North Star that runs on the data directory; empty: none does, or only this host reaches it."""
    from northstar.assembly.listening import dialled_from_elsewhere
    from northstar.assembly.run_file import NotRunning, read_run_file

    try:
        return dialled_from_elsewhere(read_run_file(settings.data_path).front)
    except NotRunning:
        return ""


def run(work: Coroutine[Any, Any, Result], *, fast: bool = False) -> Result:
    """Run to the end; `fast` for processes that stay: with the faster event loop where it is installed.

    What a command logs that does not stay is for its user only where something is wrong.
    """
    factory = None
    if not fast:
        telemetry.configure_late(level="warning")  # who sets it up before then knows better
    if fast:
        # Plans and records are read in threads; at the usual 5 ms the loop, and with it a job, waits so long for each of its turns.
        sys.setswitchinterval(_SWITCH_S)
        try:
            import uvloop

            factory = uvloop.new_event_loop
        except ImportError:
            pass
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def me() -> str:
    """Who acts, for the record."""
    return f"{getpass.getuser()}@{socket.gethostname()}"[:128]


def confirm(plan: str, *, yes: bool, as_json: bool) -> None:
    """Show the plan and ask, on the standard error, since the output may be captured; without anybody to ask, refuse.

    Raises:
        ConfirmationNeeded: nobody can answer.
    """
    if yes:
        return
    if as_json or not os.isatty(0):
        raise ConfirmationNeeded(plan)
    sys.stderr.write(f"{plan}. Go on? [y/N]: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Exit(0)
