"""`northstar jobs events`: what happened to one job, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from northstar.surfaces.cli.exit_codes import UNAVAILABLE
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, moment_ms, print_error, print_json, print_table

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.domain.errors import NorthstarError
    from northstar.domain.events import Event

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

    found, fault, max_attempts = run(_events(settings_of(config, data_dir, valkey, cell), job_id))
    steps = steps_of(found, max_attempts=max_attempts)
    if as_json:
        print_json({"job": job_id, "events": steps, "is_whole": fault is None})
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
    if fault is not None:
        print_error(fault, about="what is older is missing")
        raise typer.Exit(UNAVAILABLE)


async def _events(settings: Settings, job_id: str) -> tuple[list[Event], NorthstarError | None, int]:
    """Its events, what keeps older ones away, and how often it may fail; 0: the queue has forgotten it."""
    from northstar.assembly.job_past import job_past
    from northstar.assembly.session import session
    from northstar.domain.refusals import NoSuchJob

    async with session(settings) as broker, job_past(broker) as past:
        found = await past.events(job_id)
        jobs = (await broker.cell.inspect([job_id])).jobs
        if not found and past.fault is None and not jobs:
            raise NoSuchJob({"job": job_id})
        return found, past.fault, jobs[0].record.max_attempts if jobs else 0
