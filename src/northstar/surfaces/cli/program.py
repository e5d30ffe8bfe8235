"""The program: its commands, and how errors leave it."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from northstar import __version__
from northstar.domain.errors import NorthstarError
from northstar.surfaces.cli import (
    agent,
    costs,
    dead,
    demo,
    explain,
    export,
    history,
    invites,
    job_events,
    jobs,
    machine_sheet,
    machines,
    model_add,
    model_orders,
    models,
    outputs,
    pauses,
    pools,
    pools_apply,
    serve,
    show,
    status,
    submit,
    tenants,
    tokens,
    up,
    watch,
    worker,
)
from northstar.surfaces.cli.exit_codes import exit_code_of

app = typer.Typer(
    name="northstar",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="North Star: a broker for AI work on fleets of ephemeral GPU machines.",
    epilog="Exit codes: 0 done, 1 failed, 2 invalid request, 3 refused by the present state, 4 unavailable. "
    "Errors go to the standard error as `NS_CODE: sentence`.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def northstar(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What holds for all commands; its help is that of the program."""


@app.command()
def version() -> None:
    """Print the version of North Star."""
    typer.echo(__version__)


for command in (
    demo.demo,
    up.up,
    serve.serve,
    agent.agent,
    worker.worker,
    submit.submit,
    status.status,
    explain.explain,
    history.history,
    costs.costs,
    export.export,
    pauses.pause,
    pauses.resume,
):
    app.command()(command)

jobs.app.command()(show.show)
jobs.app.command()(watch.watch)
jobs.app.command()(outputs.outputs)
machines.app.command()(machine_sheet.show)
jobs.app.command()(job_events.events)
for of_admission in (invites.invite, invites.uninvite, invites.invites, tokens.approve, tokens.revoke, tokens.tokens):
    machines.app.command()(of_admission)
for of_models in (model_orders.fetch, model_orders.evict, model_orders.orders):
    machines.app.command()(of_models)
for of_catalogue in (model_add.add, model_add.import_):
    models.app.command(of_catalogue.__name__.rstrip("_"))(of_catalogue)
for of_pools in (pools_apply.apply, pools_apply.current, pools_apply.history, pools_apply.reset):
    pools.app.command()(of_pools)
app.add_typer(jobs.app, name="jobs")
app.add_typer(dead.app, name="dead")
app.add_typer(machines.app, name="machines")
app.add_typer(models.app, name="models")
app.add_typer(pools.app, name="pools")
app.add_typer(tenants.app, name="tenants")


def _end_as_first_process() -> None:
    """Linux spares a container's first process the usual end by SIGTERM; until a command handles it, end by it all the same."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))


def main() -> None:
    """Run the command line; leaves by SystemExit with the command's status."""
    _end_as_first_process()
    try:
        app()
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
