"""The command `northstar`."""

import typer

from northstar import __version__

app = typer.Typer(name="northstar", no_args_is_help=True, add_completion=False)


@app.callback()
def northstar() -> None:
    """North Star: a broker for AI work on fleets of ephemeral GPU machines."""


@app.command()
def version() -> None:
    """Print the version of North Star."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; leaves by SystemExit with the command's status."""
    app()
