"""`northstar jobs watch`: one job as it goes, with its progress and the text that it writes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from northstar.surfaces.cli.exit_codes import FAILED
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, print_json, print_text

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.domain.jobs import JobView
    from northstar.store.cell import Cell

_LOOK_EVERY_S: Final = 0.2
_STEP: Final = 0.1


class News(msgspec.Struct, frozen=True):
    """A progress message as machines send it."""

    fraction: float | None = None
    message: str = ""
    tokens: str = ""


def watch(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Follow a job to its end: each change, its progress, its text. Exit code 1 unless it succeeds.

    With --json, one object a line. Progress may be lost on the way; the result never is.
    """
    view = run(_watch(settings_of(config, data_dir, valkey, cell), job_id, telling=_Telling(as_json=as_json)))
    if view.status != "succeeded":
        raise typer.Exit(FAILED)


class _Telling:
    """Says what happens, for people or for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._said = -1.0
        self._in_text = False

    def changed(self, before: JobView | None, now: JobView) -> None:
        """The job's state is another one."""
        if self._as_json:
            print_json({"event": "state", "job": now})
            return
        self._end_text()
        change = f"{before.status} -> {now.status}" if before else str(now.status)
        console().print(f"job {now.id}: {change}" + (f" on {now.machine}" if now.machine else ""), markup=False)

    def heard(self, news: News) -> None:
        """Progress, or text."""
        if self._as_json:
            print_json({"event": "progress", "fraction": news.fraction, "message": news.message, "tokens": news.tokens})
        elif news.tokens:
            sys.stdout.write(news.tokens)
            sys.stdout.flush()
            self._in_text = True
        elif news.fraction is not None and (news.fraction >= self._said + _STEP or news.fraction < self._said):
            self._said = news.fraction
            console().print(f"  {news.fraction:4.0%}  {news.message}", markup=False)

    def ended(self, job: JobView) -> None:
        """The job has its last state."""
        from northstar.surfaces.cli.job_text import describe_result

        if self._as_json:
            return
        self._end_text()
        for line in describe_result(job):
            print_text(f"  {line}")

    def _end_text(self) -> None:
        if self._in_text:
            sys.stdout.write("\n")
            self._in_text = False


async def _watch(settings: Settings, job_id: str, *, telling: _Telling) -> JobView:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        listening = asyncio.create_task(_listen(broker.cell, job_id, telling))
        try:
            view = await _follow(broker.cell, job_id, telling)
        finally:
            listening.cancel()
            await asyncio.wait({listening})
        telling.ended(view)
        return view


async def _follow(cell: Cell, job_id: str, telling: _Telling) -> JobView:
    from northstar.broker.job_views import look_at
    from northstar.domain.refusals import NoSuchJob

    before: JobView | None = None
    while True:
        found = await look_at(cell, [job_id], results=True)
        if not found:
            raise NoSuchJob({"job": job_id})
        if before is None or (before.status, before.machine) != (found[0].status, found[0].machine):
            telling.changed(before, found[0])
            before = found[0]
        if found[0].status.is_final:
            return found[0]
        await asyncio.sleep(_LOOK_EVERY_S)


async def _listen(cell: Cell, job_id: str, telling: _Telling) -> None:
    """Pass on progress of the latest run; a connection that breaks costs only that."""
    from northstar.domain.errors import Unavailable
    from northstar.domain.runs import LatestRun
    from northstar.store.progress import listen_progress

    latest = LatestRun()
    with contextlib.suppress(Unavailable):
        async for token, text in listen_progress(cell, job_id):
            if latest.is_older(token):
                continue
            latest.begins_with(token)
            with contextlib.suppress(msgspec.MsgspecError):
                telling.heard(msgspec.json.decode(text, type=News))
