"""History: a cell's events and finished jobs in SQL, in SQLite beside the embedded server or in PostgreSQL.

The names are imported when they are first asked for: what only reads a cell's own word about its history must not wait for a database's
libraries to load.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from northstar.store.history.attempt_reader import AttemptFilter, AttemptPage, AttemptReader
    from northstar.store.history.attempts import Attempt
    from northstar.store.history.binding import bind, history_id
    from northstar.store.history.bond import Bond, read_bond
    from northstar.store.history.continuity import BEGINNING, Gap
    from northstar.store.history.cost_reader import CostReader, Costs
    from northstar.store.history.database import HistoryDatabase, HistoryOptions
    from northstar.store.history.finished_jobs import FinishedJob
    from northstar.store.history.pruning import Pruned, prune
    from northstar.store.history.reader import EventPage, HistoryReader, JobFilter, JobPage, Total
    from northstar.store.history.writer import HistoryWriter

__all__ = [
    "BEGINNING",
    "Attempt",
    "AttemptFilter",
    "AttemptPage",
    "AttemptReader",
    "Bond",
    "CostReader",
    "Costs",
    "EventPage",
    "FinishedJob",
    "Gap",
    "HistoryDatabase",
    "HistoryOptions",
    "HistoryReader",
    "HistoryWriter",
    "JobFilter",
    "JobPage",
    "Pruned",
    "Total",
    "bind",
    "history_id",
    "prune",
    "read_bond",
]

#: In which module of the package each name is.
_PLACES: Final = {
    name: module
    for module, names in {
        "attempt_reader": ("AttemptFilter", "AttemptPage", "AttemptReader"),
        "attempts": ("Attempt",),
        "binding": ("bind", "history_id"),
        "bond": ("Bond", "read_bond"),
        "continuity": ("BEGINNING", "Gap"),
        "cost_reader": ("CostReader", "Costs"),
        "database": ("HistoryDatabase", "HistoryOptions"),
        "finished_jobs": ("FinishedJob",),
        "pruning": ("Pruned", "prune"),
        "reader": ("EventPage", "HistoryReader", "JobFilter", "JobPage", "Total"),
        "writer": ("HistoryWriter",),
    }.items()
    for name in names
}


def __getattr__(name: str) -> object:
    module = _PLACES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
