"""`northstar jobs show`: one job as it stands, with its place in the queue or what its machine does with it now."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import print_json, print_text

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.domain.errors import NorthstarError
    from northstar.domain.jobs import JobView
    from northstar.domain.progress import Progress
    from northstar.domain.queue_place import QueuePlace
    from northstar.store.cell import Cell

#: Nobody keeps progress, so a running job is listened to for so long.
_LISTEN_S: Final = 1.0


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A job, the cell's time, and what is known beside the record."""

    view: JobView
    now_ms: int
    place: QueuePlace | None = None
    progress: Progress | None = None
    #: Why the history, which alone knows the machine of a finished job, cannot be read.
    fault: NorthstarError | None = None


def show(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show one job: state, place in the queue or progress, times, last error, result. Listens up to 1 s to one that runs."""
    from northstar.surfaces.cli.job_text import describe, describe_result
    from northstar.surfaces.cli.watch_lines import progress_fields

    shown = run(_show(settings_of(config, data_dir, valkey, cell), job_id))
    if as_json:
        fields: dict[str, Any] = msgspec.structs.asdict(shown.view)
        progress = None if shown.progress is None else progress_fields(shown.progress)
        print_json(fields | {"place": shown.place, "progress": progress})
        return
    for name, value in describe(shown.view, now_ms=shown.now_ms, place=shown.place, progress=shown.progress):
        print_text(f"{name:<11}{value}")
    view = shown.view
    if shown.fault is not None and view.status.is_final and view.started_ms and not view.machine:
        print_text(f"{'machine':<11}not known: {shown.fault}")
    if shown.view.status == "succeeded":
        for line in describe_result(shown.view):
            print_text(f"{'result':<11}{line}")


async def _show(settings: Settings, job_id: str) -> Shown:
    from northstar.assembly.job_past import job_past
    from northstar.assembly.session import session
    from northstar.broker.job_views import view_of
    from northstar.broker.queue_places import QueuePlaces
    from northstar.domain.refusals import NoSuchJob

    async with session(settings) as broker, job_past(broker) as past:
        reply = await broker.cell.inspect([job_id], bodies=True, results=True)
        if not reply.jobs:
            raise NoSuchJob({"job": job_id})
        place = await QueuePlaces(broker.cell, monotonic=time.monotonic).of(reply.jobs[0], now_ms=reply.now_ms)
        (view,) = await past.with_machines([view_of(reply.jobs[0])])
        progress = await _overheard(broker.cell, view) if view.status == "running" else None
        return Shown(view=view, now_ms=reply.now_ms, place=place, progress=progress, fault=past.fault)


async def _overheard(cell: Cell, view: JobView) -> Progress | None:
    """The first report of the job that comes by; None if none does in time, or the server cannot be listened to."""
    from northstar.domain.errors import Unavailable
    from northstar.domain.progress import from_wire
    from northstar.domain.progress_text import describe
    from northstar.store.progress import listen_progress

    with contextlib.suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(_LISTEN_S), contextlib.aclosing(listen_progress(cell, view.id)) as messages:
            async for _, text in messages:
                if (news := from_wire(text)) is not None and describe(news):
                    return news
    return None
