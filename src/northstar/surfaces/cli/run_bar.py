"""The bar of a simulation that runs, at a terminal: how many of its jobs are over, and beside it what they came to so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def run_bar(*, shows_end: bool = True) -> Iterator[Progress]:
    """Gives a bar whose tasks have the field `live`. It ends with the time that is left, or where nobody can tell it with the time that has passed."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=40 if shows_end else 20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[live]}"),
        TimeRemainingColumn() if shows_end else TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar
