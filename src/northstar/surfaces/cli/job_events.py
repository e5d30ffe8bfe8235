"""`northstar jobs events`: what happened to one job, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from northstar.surfaces.cli.exit_codes import UNAVAILABLE
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, moment_ms, print_error, print_hint, print_json, print_table

if TYPE_CHECKING:
    from northstar.broker.job_lives import Life
    from northstar.config import Settings
    from northstar.domain.errors import NorthstarError

COLUMNS = ("TIME (UTC)", "EVENT", "MACHINE", "ATTEMPT", "WHAT HAPPENED", "WHY")


def events(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Tell what happened to one job, in order: each start, failure, lost machine and end, with the reason.

    From the history, and from what is still on its way there. Where the history cannot be read, the latest events are told
    that are still in the cell, and the exit code is 4.
    """
    from northstar.domain.job_story import steps_of

    life, fault = run(_events(settings_of(config, data_dir, valkey, cell), job_id))
    steps = steps_of(life.events, max_attempts=life.max_attempts)
    if as_json:
        print_json({"job": job_id, "events": steps, "is_whole": fault is None and life.is_whole})
    elif steps:
        print_table(
            COLUMNS,
            (
                (moment_ms(step.at_ms), step.event, step.machine or "-", step.attempt or "-", step.what, step.why)
                for step in steps
            ),
        )
    elif fault is None:
        console().print(
            f"{job_id}: no events are kept; the history begins after them, or has pruned them", markup=False
        )
    if not life.is_whole:
        print_hint("what happened last may be missing: more events wait for the history than are looked through")
    if fault is not None:
        print_error(fault, about="what is older is missing")
        raise typer.Exit(UNAVAILABLE)


async def _events(settings: Settings, job_id: str) -> tuple[Life, NorthstarError | None]:
    """What is known of the last job of this id, and what keeps older events away."""
    from northstar.assembly.job_past import job_past
    from northstar.assembly.session import session
    from northstar.broker.job_lives import read_life
    from northstar.domain.refusals import NoSuchJob

    async with session(settings) as broker, job_past(broker) as past:
        life = await read_life(broker.cell, past, job_id)
        if not life.events and past.fault is None and life.job is None:
            raise NoSuchJob({"job": job_id})
        return life, past.fault
