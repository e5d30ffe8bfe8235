"""What the demonstration shows while it runs: a living table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from northstar.demo.progress_board import ProgressBoard, Row

_NEWS_LINES: Final = 6
_TEXT_CHARS: Final = 300
_STYLES: Final = {
    "queued": "dim",
    "running": "cyan",
    "offered": "cyan",
    "delayed": "magenta",
    "succeeded": "green",
    "failed": "bold red",
}


class Display:
    """Shows the board. `say` works at any time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._news: deque[str] = deque(maxlen=_NEWS_LINES)
        self._live: Live | None = None
        self._board: ProgressBoard | None = None

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def say(self, sentence: str) -> None:
        """A piece of news with its time."""
        line = f"[{self.seconds:5.1f} s] {sentence}"
        if self._live is None:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            self._news.append(line)

    @contextlib.contextmanager
    def showing(self, board: ProgressBoard) -> Iterator[None]:
        """Keep the board on the screen for as long as the block runs. Without a terminal only the news are printed."""
        self._board = board
        if not self._console.is_terminal:
            yield
            return
        with Live(get_renderable=self._screen, console=self._console, refresh_per_second=8) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def _screen(self) -> RenderableType:
        if self._board is None:
            return Text()
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("JOB", "SERVICE", "POOL", "TENANT", "PRIORITY", "STATE", "MACHINE", "PROGRESS"):
            table.add_column(column)
        for job_id, row in self._board.rows.items():
            table.add_row(*_cells(job_id, row))
        written = Text(self._board.latest_text[-_TEXT_CHARS:].replace("\n", " ") or "…", style="italic")
        news = Text("\n".join(self._news), style="dim")
        return Group(
            table, Panel(written, title="written just now", title_align="left", style="dim"), Padding(news, (0, 1))
        )


def _cells(job_id: str, row: Row) -> tuple[RenderableType, ...]:
    request = row.commission.request
    machine = row.view.machine if row.view else ""
    state = Text(row.status, style=_STYLES.get(row.status, ""))
    return job_id, request.service, row.pool, request.tenant, str(request.priority), state, machine, _progress(row)


def _progress(row: Row) -> RenderableType:
    if row.words and not row.commission.is_picture:
        return f"{row.words} words"
    if row.status in {"queued", "running"} and row.standing != row.status:
        return Text(row.standing, style="dim" if row.status == "queued" else "", overflow="ellipsis", no_wrap=True)
    return ProgressBar(total=1.0, completed=1.0 if row.status == "succeeded" else row.fraction, width=24)
