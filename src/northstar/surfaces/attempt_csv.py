"""Attempts as CSV: what simulators and spreadsheets read. `docs/reference/history-csv.md` says what each column is."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from northstar.store.history import Attempt

#: Spreadsheets take a field that begins with one of these for a formula; the apostrophe is there so that the mark can be taken off again.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "'")


def _seconds(at_ms: int | None) -> float | None:
    return None if at_ms is None else at_ms / 1000


def _models(attempt: Attempt) -> str:
    return msgspec.json.encode(attempt.models).decode()


#: Column, what it holds, and where it comes from.
COLUMNS: Final[tuple[tuple[str, str, Callable[[Attempt], Any]], ...]] = (
    ("job", "Id of the job.", lambda one: one.job_id),
    ("claim", "Which machine of the job it was, from 1; with `job` it names the row.", lambda one: one.claim),
    (
        "attempt",
        "Which attempt of the work it was, from 1; lost and released runs are not charged.",
        lambda one: one.attempt,
    ),
    ("outcome", "`succeeded`, `failed`, `lost`, `released`, `expired` or `canceled`.", lambda one: one.outcome),
    ("code", "The error's code, or why the run went back.", lambda one: one.code),
    ("submitted_s", "When the job was submitted, seconds since 1970.", lambda one: _seconds(one.submitted_ms)),
    ("started_s", "When the machine got it, seconds since 1970.", lambda one: _seconds(one.started_ms)),
    ("ended_s", "When the run ended, seconds since 1970.", lambda one: _seconds(one.ended_ms)),
    ("tenant", "For whom.", lambda one: one.tenant),
    ("user", "Who of the tenant, as the tenant calls them.", lambda one: one.user),
    ("session", "In which sitting, as the tenant calls it.", lambda one: one.session),
    ("parent", "The job that led to this one.", lambda one: one.parent),
    ("service", "The engine's service.", lambda one: one.service),
    ("modality", "What comes out: `image`, `text+image`, …", lambda one: one.modality),
    ("shape", "Equal for jobs of which equal times are expected.", lambda one: one.shape),
    ("work", "How large it is: pixels x steps x pictures x frames, or tokens.", lambda one: one.work),
    ("models", "JSON list of `name`, `kind`, `size_bytes`, `sha256`, the largest first.", _models),
    ("estimate_p10_s", "Of ten such runs one was expected to be shorter.", lambda one: one.estimate_p10_s),
    ("estimate_p50_s", "Half of them.", lambda one: one.estimate_p50_s),
    ("estimate_p90_s", "Nine of ten.", lambda one: one.estimate_p90_s),
    ("estimate_source", "Where the estimate came from.", lambda one: one.estimate_source),
    ("optimal_pool", "The pool that the decision matrix wanted.", lambda one: one.optimal_pool),
    ("pool", "The pool in which it waited.", lambda one: one.pool),
    ("route", "How it came there.", lambda one: one.route),
    ("machine", "The machine that ran it.", lambda one: one.machine),
    ("gpu_class", "Class of its GPU; `cpu` for none.", lambda one: one.gpu_class),
    ("region", "Where it is.", lambda one: one.region),
    ("price_usd_per_hour", "What an hour of it costs; empty if nobody said.", lambda one: one.price_usd_per_hour),
    ("queued_s", "Waiting in the cell before this run.", lambda one: one.queued_s),
    ("waiting_s", "Waiting inside the engine.", lambda one: one.waiting_s),
    ("fetching_s", "Bringing models.", lambda one: one.fetching_s),
    ("loading_s", "Loading models into memory.", lambda one: one.loading_s),
    ("ran_s", "The work itself.", lambda one: one.running_s),
    ("storing_s", "Storing outputs.", lambda one: one.storing_s),
    ("held_s", "From `started_s` to `ended_s`.", lambda one: one.held_s),
    ("fetched_bytes", "Bytes of models that had to come first.", lambda one: one.fetched_bytes),
    ("link_bytes_per_s", "How fast they came, or the machine's usual rate.", lambda one: one.link_bytes_per_s),
    (
        "peak_vram_mb",
        "The most memory of its GPU in use while it ran, MB (a million bytes); only of runs that had the card to themselves.",
        lambda one: one.peak_vram_mb,
    ),
)


def header() -> str:
    """The first line."""
    return _lines([[name for name, _, _ in COLUMNS]])


def lines(attempts: Iterable[Attempt]) -> str:
    """A line for each attempt; what is not known is empty."""
    return _lines([[_field(value(one)) for _, _, value in COLUMNS] for one in attempts])


def harmless_field(text: str) -> str:
    """Text that no spreadsheet runs: one apostrophe before what it would take for a formula. Readers take that one off again.

    >>> harmless_field("=HYPERLINK(1)"), harmless_field("a lake"), harmless_field("'quoted'")
    ("'=HYPERLINK(1)", 'a lake', "''quoted'")
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _field(value: Any) -> str:
    if value is None:
        return ""
    return harmless_field(value) if isinstance(value, str) else str(value)


def _lines(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
