"""`northstar demo`: the whole path in under a minute, with results to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from northstar.surfaces.cli.interrupting import Interrupted, interruptible
from northstar.surfaces.cli.options import run
from northstar.surfaces.cli.up import front_door


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the results go.", file_okay=False)] = Path(
        "demo-results"
    ),
) -> None:
    """Start everything on a temporary folder, do real work, kill a machine in the middle, and show the results.

    Ctrl-C or SIGTERM ends it in order, and leaves no process and no temporary folder behind.
    """
    from northstar.demo.run import run_demo

    try:
        code = run(interruptible(run_demo(out, open_door=front_door())))
    except Interrupted as exc:
        code = exc.exit_code
    raise typer.Exit(code)
