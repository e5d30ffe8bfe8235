"""The program: what holds for all commands, and how errors leave it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from northstar import __version__
from northstar.domain.errors import NorthstarError
from northstar.surfaces.cli.commands import COMMANDS, COMPLETE_VARIABLE, plain, with_commands
from northstar.surfaces.cli.exit_codes import exit_code_of

if TYPE_CHECKING:
    from typer.core import TyperGroup


def program() -> TyperGroup:
    """The program with all its commands, none of them loaded yet."""
    whole = plain(
        "northstar",
        help="North Star: a broker for AI work on fleets of ephemeral GPU machines.",
        epilog="Exit codes: 0 done, 1 failed, 2 invalid request, 3 refused by the present state, 4 unavailable, 5 doctor found a fault. "
        "Errors go to the standard error as `NS_CODE: sentence`.",
    )
    whole.callback()(northstar)
    return with_commands(whole, COMMANDS)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def northstar(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What holds for all commands; its help is that of the program."""


def version() -> None:
    """Print the version of North Star."""
    typer.echo(__version__)


def _end_as_first_process() -> None:
    """Linux spares a container's first process the usual end by SIGTERM; until a command handles it, end by it all the same."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))


def main() -> None:
    """Run the command line; leaves by SystemExit with the command's status."""
    _end_as_first_process()
    try:
        if COMPLETE_VARIABLE in os.environ:
            from northstar.surfaces.cli.completion import answer_as_the_scripts_expect

            answer_as_the_scripts_expect()
        program()(complete_var=COMPLETE_VARIABLE)
    except NorthstarError as error:
        from northstar.surfaces.cli.printing import print_error

        print_error(error)
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
