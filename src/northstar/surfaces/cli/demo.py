"""`northstar demo`: the whole path in under a minute, with results to look at."""

from __future__ import annotations

import sys
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

    Ctrl-C or SIGTERM ends it in order, and leaves no process and no temporary folder behind; a second one ends its machines at once.
    """
    from northstar.demo.run import Haste, run_demo

    haste = Haste()
    work = run_demo(out, open_door=front_door(), haste=haste)
    try:
        code = run(interruptible(work, stopping=_say_stopping, hurry=haste.hurry))
    except Interrupted as exc:
        code = exc.exit_code
    raise typer.Exit(code)


def _say_stopping() -> None:
    sys.stderr.write(
        "stopping; the machines hand back their work, which takes a few seconds; once more ends them at once\n"
    )
    sys.stderr.flush()
