"""History: a cell's events and finished jobs in SQL, in SQLite beside the embedded server or in PostgreSQL."""

from northstar.store.history.attempt_reader import AttemptFilter, AttemptPage, AttemptReader
from northstar.store.history.attempts import Attempt
from northstar.store.history.bond import Bond, bind, history_id, read_bond
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
