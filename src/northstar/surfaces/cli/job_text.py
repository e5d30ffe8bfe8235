"""A job in sentences."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from northstar.domain.amounts import size
from northstar.domain.job_resources import pool_of
from northstar.domain.jobs import JobView
from northstar.domain.progress import Progress
from northstar.domain.progress_text import describe as describe_progress
from northstar.domain.queue_place import QueuePlace, describe_place
from northstar.surfaces.cli.printing import counted, moment, span

#: A text file up to this size is shown, not only named.
_SHOWN_BYTES: Final = 4_096


def describe(
    job: JobView, *, now_ms: int, place: QueuePlace | None = None, progress: Progress | None = None
) -> Iterator[tuple[str, str]]:
    """Names and values, for a person who asks what became of one job; where it waits or what was heard of it, if known."""
    yield "job", job.id
    yield "status", str(job.status) if place is None else describe_place(place)
    if progress is not None:
        yield "progress", describe_progress(progress)
    if job.body is not None:
        yield "service", f"{job.body.service} (pool {pool_of(job)})"
    yield "tenant", f"{job.tenant}, priority {job.priority}"
    yield "submitted", f"{moment(job.submitted_ms)} ({span(now_ms - job.submitted_ms)} ago)"
    if job.started_ms:
        yield "started", f"{moment(job.started_ms)}" + (f" on {job.machine}" if job.machine else "")
    if job.finished_ms:
        yield (
            "finished",
            f"{moment(job.finished_ms)} (ran {span(job.finished_ms - (job.started_ms or job.finished_ms))})",
        )
    yield "attempts", f"{job.attempts} failed of {job.max_attempts} allowed; {counted(job.recoveries, 'machine')} lost"
    if job.due_ms:
        yield "next try", f"in {span(job.due_ms - now_ms)}"
    if job.error_code:
        yield "last error", f"{job.error_code}: {job.error_message}"


def describe_result(job: JobView) -> Iterator[str]:
    """What the job gave, or why it gave nothing."""
    if job.error_code and job.status != "succeeded":
        yield f"{job.error_code}: {job.error_message}"
    outputs: Any = job.result.get("outputs", []) if isinstance(job.result, dict) else []
    for output in outputs:
        asset = output.get("asset")
        if asset:
            place = unquote(asset["url"].removeprefix("file://"))
            gone = asset["url"].startswith("file://") and not Path(place).exists()
            yield f"{output['name']}: {place} ({size(asset['size_bytes'])}{', not found on this host' if gone else ''})"
            yield from _text_of(asset, place)
        elif output.get("text") is not None:
            yield f"{output['name']}: {output['text']}"


def _text_of(asset: dict[str, Any], place: str) -> Iterator[str]:
    """What a small text file says, if it is one and lies on this host."""
    is_text = asset["media_type"].partition(";")[0] == "text/plain"
    if not is_text or asset["size_bytes"] > _SHOWN_BYTES or not asset["url"].startswith("file://"):
        return
    with contextlib.suppress(OSError, UnicodeDecodeError), Path(place).open("rb") as stream:
        yield stream.read(_SHOWN_BYTES).decode().removesuffix("\n")
