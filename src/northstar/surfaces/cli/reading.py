"""How far the reading of a large file has come, for whoever waits at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown_while_reading(name: str) -> Iterator[Callable[[int, int], None]]:
    """Gives what hears the bytes read and the bytes in all, 0 if unknown. Nothing is shown where nobody sees it."""
    if not sys.stderr.isatty():
        yield lambda _read, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
    from rich.text import Text

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(Text(f"reads {name[:60]}").markup, total=None)
        yield lambda read, total: progress.update(task, completed=read, total=total or None)
