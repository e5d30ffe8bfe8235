"""`northstar jobs`: look at jobs and change what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
import typer

from northstar.surfaces.cli.exit_codes import REFUSED
from northstar.surfaces.cli.job_table import job_table, same_of_all
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, print_error, print_hint, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.config import Settings
    from northstar.domain.errors import NorthstarError
    from northstar.domain.jobs import JobView
    from northstar.store.cell import Cell
    from northstar.store.messages import JobIndex, Outcome


Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="Jobs.")]
Place = Literal["waiting", "running", "delayed", "failed", "finished", "all"]
#: Which index of the queue holds the jobs of a place.
_INDEX: Final[dict[str, JobIndex]] = {
    "running": "leases",
    "waiting": "waiting",
    "delayed": "delayed",
    "failed": "dead",
    "finished": "finished",
}
_PAGE: Final = 500
#: In which order the list is.
ORDERS: Final = {
    "all": "running, then waiting, delayed, failed, finished; the latest first, but waiting and delayed in the order of their turn",
    "running": "the latest start first",
    "waiting": "lane by lane, the next one first",
    "delayed": "the next to be tried again first",
    "failed": "the latest failure first; to send them back to work: northstar dead replay ID",
    "finished": "the latest end first, failed ones among them",
}


#: By what the places are sorted in which the latest comes first.
_LATEST: Final[dict[str, Callable[[JobView], int]]] = {
    "running": lambda view: view.started_ms,
    "failed": lambda view: view.finished_ms,
    "finished": lambda view: view.finished_ms,
}


def list_(
    place: Annotated[Place, typer.Option("--in", help="Where to look.")] = "all",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many from each place.")] = 50,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List jobs: running ones first, then those that wait, pause before a retry, failed for good, or are finished otherwise.

    Running, failed and finished ones the latest first; waiting ones in the order of their lanes; pausing ones as they fall due.
    """
    places = list(_INDEX) if place == "all" else [place]
    views, more, now_ms, fault = run(_list(settings_of(config, data_dir, valkey, cell), places, limit=limit))
    if as_json:
        from northstar.domain.job_resources import pool_of

        jobs = [msgspec.structs.asdict(view) | {"pool": pool_of(view)} for view in views]
        print_json({"jobs": jobs, "more": more})
        return
    columns, rows = job_table(views, now_ms=now_ms)
    print_table(columns, rows)
    if views:
        if same := same_of_all(views):
            console().print(same, style="dim", markup=False)
        print_hint(ORDERS[place])
    else:
        print_hint("none; northstar submit FILE brings some")
    if fault is not None and any(view.status.is_final and not view.machine for view in views):
        console().print(f"machines of finished jobs are in the history: {fault}", style="dim", markup=False)
    if more:
        left_out = ", ".join(f"{count} more {name}" for name, count in more.items())
        console().print(f"… and {left_out}; --limit shows more", style="dim", markup=False)


async def _list(
    settings: Settings, places: Sequence[str], *, limit: int
) -> tuple[list[JobView], dict[str, int], int, NorthstarError | None]:
    """The jobs, how many more there are in each place, the cell's time, and why the history could not be asked for machines."""
    from northstar.assembly.job_past import job_past
    from northstar.assembly.session import session
    from northstar.broker.job_views import look_at

    async with session(settings) as broker, job_past(broker) as past:
        counts = (await broker.cell.statistics()).counts
        views: dict[str, JobView] = {}
        more: dict[str, int] = {}
        for place in places:
            ids = await _ids(broker.cell, _INDEX[place], limit=limit, now_ms=counts["now_ms"])
            found = await look_at(broker.cell, ids, bodies=True)
            if place in _LATEST:
                found.sort(key=_LATEST[place], reverse=True)
            left_out = counts[f"{_INDEX[place]}_size"] - len(found[:limit])
            if len(found) >= limit and left_out > 0:
                more[place] = left_out
            views |= {view.id: view for view in found[:limit] if view.id not in views}
        return await past.with_machines(list(views.values())), more, counts["now_ms"], past.fault


async def _ids(cell: Cell, index: JobIndex, *, limit: int, now_ms: int) -> list[str]:
    """At least `limit` of them, if there are so many; of those that are over, the latest ones.

    Jobs that are over stand in the order in which they are forgotten. Dead ones are kept longer than others, so the latest of
    the jobs that are kept for the usual time are read by themselves.
    """
    from northstar.domain.jobs import JobRequest
    from northstar.store.latest import read_latest

    if index == "dead":
        return await read_latest(cell.client, cell.keys, index, count=limit)
    if index == "finished":
        usual_ms = now_ms + int(JobRequest(service="any").retention_s * 1_000)
        kept_long = await read_latest(cell.client, cell.keys, index, count=limit)
        kept_as_usual = await read_latest(cell.client, cell.keys, index, count=limit, until_ms=usual_ms)
        return list(dict.fromkeys((*kept_long, *kept_as_usual)))
    found: dict[str, None] = {}
    after = ""
    for read in range(0, limit, _PAGE):
        page = await cell.list_jobs(index, after=after, count=min(_PAGE, limit - read))
        found |= dict.fromkeys(page.jobs)
        after = page.after
        if not after:
            break
    return list(found)


def cancel(
    job_ids: Ids,
    because: Annotated[str, typer.Option(help="Why, for the record.")] = "canceled by an operator",
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Cancel jobs wherever they are; a running one is stopped on its machine."""
    _report(run(_cancel(settings_of(config, data_dir, valkey, cell), job_ids, because=because)), as_json=as_json)


async def _cancel(settings: Settings, job_ids: list[str], *, because: str) -> list[Outcome]:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        outcomes: list[Outcome] = []
        for first in range(0, len(job_ids), _PAGE):
            outcomes += await broker.cell.cancel(job_ids[first : first + _PAGE], because=because)
        return outcomes


def reprioritise(
    job_ids: Ids,
    priority: Annotated[int, typer.Option(min=0, max=100, help="0 to 100; higher goes first.")],
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Change the priority of jobs that have not started."""
    _report(
        run(_reprioritise(settings_of(config, data_dir, valkey, cell), job_ids, priority=priority)), as_json=as_json
    )


async def _reprioritise(settings: Settings, job_ids: list[str], *, priority: int) -> list[Outcome]:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        outcomes: list[Outcome] = []
        for first in range(0, len(job_ids), _PAGE):
            outcomes += await broker.cell.reprioritise(job_ids[first : first + _PAGE], priority=priority)
        return outcomes


def _report(outcomes: list[Outcome], *, as_json: bool) -> None:
    """What became of each job; a refusal of any of them is the command's exit code."""
    from northstar.domain.refusals import refusal

    refused = [outcome for outcome in outcomes if outcome.word.startswith("NS_")]
    if as_json:
        print_json({"jobs": [{"id": outcome.id, "outcome": outcome.word} for outcome in outcomes]})
    else:
        for outcome in outcomes:
            if outcome not in refused:
                console().print(f"{outcome.id}  {outcome.word}", markup=False)
    for outcome in refused:
        print_error(refusal(outcome.word, {"job": outcome.id}), about=f"job {outcome.id}")
    if refused:
        raise typer.Exit(REFUSED)
