"""What has run as a trace that can be simulated: a line for each job. `docs/reference/trace-csv.md` says what each column is."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from northstar.domain.pools import RESEARCH
from northstar.domain.workloads import Speciality
from northstar.simulation.workload.own_trace import MOST_MODELS, TracedJob, TracedModel
from northstar.surfaces.attempt_csv import harmless_field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.store.history import Attempt

COLUMNS: Final = TracedJob.__struct_fields__
_DEFAULTS: Final = {field.name: field.default for field in msgspec.structs.fields(TracedJob)}
#: A run that ended otherwise was broken off, and does not tell how long the work takes.
_TELLING: Final = frozenset({"succeeded", "failed"})
_SPECIALITIES: Final[tuple[Speciality, ...]] = get_args(Speciality)


def header() -> str:
    """The first line."""
    return _line(COLUMNS)


def line(job: TracedJob) -> str:
    """A job's line; what is not known is empty."""
    return _line(_field(name, getattr(job, name)) for name in COLUMNS)


def traced(attempt: Attempt) -> TracedJob:
    """What a run tells of its job. It was asked again at its start where the history no longer has when it was submitted (a replay)."""
    submitted_ms = attempt.started_ms if attempt.submitted_ms is None else attempt.submitted_ms
    speciality = (attempt.optimal_pool or "").removeprefix("standard-")
    models = tuple(
        TracedModel(name=one.name, kind=one.kind, size_bytes=one.size_bytes, sha256=one.sha256)
        # A machine may tell of more files than a job can ask for; the largest come first.
        for one in attempt.models[:MOST_MODELS]
    )
    return TracedJob(
        submitted_s=submitted_ms / 1_000,
        tenant=attempt.tenant or "default",
        user=attempt.user or "",
        session=attempt.session or "",
        service=attempt.service or "unknown",
        asked_pool=attempt.pool if attempt.route == "pinned" else None,
        pool=attempt.pool,
        modality=attempt.modality or "",
        speciality=next((one for one in _SPECIALITIES if one == speciality), None),
        shape=attempt.shape or "",
        work=attempt.work or 0.0,
        # The matrix wants nothing else there; which of the two it was, the history does not keep, and it leads to the same pool.
        experimental=attempt.optimal_pool == RESEARCH,
        models=msgspec.json.encode(models).decode() if models else "",
        gpu_class=attempt.gpu_class or "",
        region=attempt.region or "",
        ran_s=_ran_s(attempt),
        outcome=attempt.outcome,
    )


def _ran_s(attempt: Attempt) -> float | None:
    """The work itself, as the machine measured it; else what is left of the time that it had the job."""
    if attempt.outcome not in _TELLING:
        return None
    if attempt.running_s is not None:
        # No more than the cell saw it hold the job: what it measured is its own word.
        return min(attempt.running_s, attempt.held_s)
    others = (attempt.waiting_s, attempt.fetching_s, attempt.loading_s, attempt.storing_s)
    return max(0.0, attempt.held_s - sum(one or 0.0 for one in others))


def _field(name: str, value: Any) -> str:
    if value is None or (value == _DEFAULTS[name] and name not in {"ran_s", "outcome", "tenant"}):
        return ""
    if isinstance(value, bool):
        return "true"
    return harmless_field(value) if isinstance(value, str) else str(value)


def _line(fields: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()
