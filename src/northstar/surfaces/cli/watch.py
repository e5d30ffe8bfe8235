"""`northstar jobs watch`: one job as it goes: its place in the queue, its progress, and the text that it writes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from northstar.surfaces.cli.exit_codes import FAILED
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.watch_lines import WatchLines

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.domain.jobs import JobView
    from northstar.domain.progress import Progress
    from northstar.store.cell import Cell

_LOOK_EVERY_S: Final = 0.2
#: A place in the queue costs more to find out than a state.
_PLACE_EVERY_S: Final = 2.0
#: News that came before the end may still be on their way when the end is seen.
_LAST_NEWS_S: Final = 0.05
#: News that are heard and not yet told; beyond that the oldest go, as progress may.
_MAX_NEWS: Final = 1_000


def watch(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Follow a job to its end: its place in the queue, each change, its progress, its text. Exit code 1 unless it succeeds.

    With --json, one object a line. Progress may be lost on the way; the result never is.
    """
    lines = WatchLines(as_json=as_json)
    view = run(_watch(settings_of(config, data_dir, valkey, cell), job_id, lines=lines))
    if view.status != "succeeded":
        raise typer.Exit(FAILED)


async def _watch(settings: Settings, job_id: str, *, lines: WatchLines) -> JobView:
    from northstar.assembly.session import session
    from northstar.surfaces.cli.waiting import say_it_goes_on

    async with session(settings) as broker:
        try:
            return await follow(broker.cell, job_id, lines)
        except asyncio.CancelledError:
            say_it_goes_on([job_id])
            raise


async def follow(cell: Cell, job_id: str, lines: WatchLines) -> JobView:
    """Tell `lines` of a job until it is over; gives it with its result.

    Raises:
        NoSuchJob: the cell does not know it. Unavailable: the server does not answer.
    """
    watcher = _Watcher(cell, job_id, lines)
    listening = asyncio.create_task(watcher.listen())
    try:
        view = await watcher.follow()
    finally:
        listening.cancel()
        await asyncio.wait({listening})
    lines.ended(view)
    return view


class _Watcher:
    """Looks at the job five times a second, and at once when it is heard of; tells both in the order of things."""

    def __init__(self, cell: Cell, job_id: str, lines: WatchLines) -> None:
        from northstar.broker.queue_places import QueuePlaces
        from northstar.domain.progress import ProgressOrder

        self._cell = cell
        self._job_id = job_id
        self._lines = lines
        self._news: asyncio.Queue[Progress] = asyncio.Queue(_MAX_NEWS)
        self._order = ProgressOrder()
        self._heard = asyncio.Event()
        self._view: JobView | None = None
        self._places = QueuePlaces(cell, monotonic=time.monotonic, view_s=_PLACE_EVERY_S)
        self._placed_at = -_PLACE_EVERY_S

    async def listen(self) -> None:
        """Keep what may be shown of the latest run; a connection that breaks costs only that."""
        from northstar.domain.errors import Unavailable
        from northstar.domain.progress import from_wire
        from northstar.store.progress import listen_progress

        with contextlib.suppress(Unavailable):
            async for token, text in listen_progress(self._cell, self._job_id):
                news = from_wire(text)
                if news is None or (shown := self._order.hear(token, news)) is None:
                    continue
                if self._news.full():
                    self._news.get_nowait()
                self._news.put_nowait(shown)
                self._heard.set()

    async def follow(self) -> JobView:
        """Until the job is over."""
        while True:
            view = await self._look()
            if view.status != "running" and not self._news.empty():
                view = await self._look()  # heard while looking: the run has begun since, or is over
            if view.status.is_final:
                await asyncio.sleep(_LAST_NEWS_S)
                self._tell_news()
                self._change(view)
                return view
            self._change(view)
            self._tell_news()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._hear(is_running=view.status == "running")

    async def _hear(self, *, is_running: bool) -> None:
        """Tell the news of the run that is known; return when there are some of another, whose state comes first."""
        run = self._order.run
        while is_running and self._order.run == run:
            self._tell_news()
            self._heard.clear()
            await self._heard.wait()
        if not is_running:
            self._heard.clear()
            await self._heard.wait()

    async def _look(self) -> JobView:
        from northstar.broker.job_views import view_of
        from northstar.domain.refusals import NoSuchJob

        reply = await self._cell.inspect([self._job_id], results=True)
        if not reply.jobs:
            raise NoSuchJob({"job": self._job_id})
        view = view_of(reply.jobs[0])
        if view.status == "queued" and time.monotonic() - self._placed_at >= _PLACE_EVERY_S:
            self._placed_at = time.monotonic()
            place = await self._places.of(reply.jobs[0], now_ms=reply.now_ms)
            self._change(view)
            if place is not None:
                self._lines.waits(place)
        return view

    def _change(self, view: JobView) -> None:
        before = self._view
        if before is None or (before.status, before.machine) != (view.status, view.machine):
            self._lines.changed(before, view)
            self._view = view

    def _tell_news(self) -> None:
        while not self._news.empty():
            self._lines.heard(self._news.get_nowait())
