"""What became of each job, from the history and the assets: the rows of the final table, and the files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from northstar.demo.commission import Commission
from northstar.demo.inspection import ResultRefused, inspect_picture, inspect_simulated, inspect_text
from northstar.demo.reason import Reason
from northstar.domain.events import Event
from northstar.domain.job_story import Step, steps_of
from northstar.domain.jobs import JobStatus, JobView
from northstar.store.assets import AssetRef, AssetStore
from northstar.store.history import HistoryReader

_HISTORY_S: Final = 10.0
_EVENTS: Final = 100


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One job at the end. `file` is empty where there is no good result; `verdict` then says why."""

    job: str
    title: str
    service: str
    tenant: str
    priority: int
    machines: tuple[str, ...]
    #: Why it ran in its pool.
    reason: Reason
    #: Simulated work: seconds that it would have taken; 0: it was real.
    takes_s: float
    submitted_ms: int
    finished_ms: int
    waited_ms: int
    ran_ms: int
    #: Attempts that failed and were charged, and machines that were lost and cost none.
    attempts: int
    recoveries: int
    file: str
    verdict: str
    trial: str
    story: str = ""
    timeline: tuple[tuple[int, str], ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the result was there and passed the inspection."""
        return self.file != ""

    @property
    def is_simulated(self) -> bool:
        """Whether only time passed for it."""
        return self.takes_s > 0


async def collect(
    commission: Commission, view: JobView, *, reason: Reason, history: HistoryReader, assets: AssetStore, out: Path
) -> Outcome:
    """Fetch the result, inspect it, write it to `out`, and tell how it came about."""
    events = await _events(history, view.id)
    file, verdict, story = "", f"{view.status} {view.error_code}", ""
    if view.status is JobStatus.SUCCEEDED:
        try:
            data = await _result(view, assets=assets, name=commission.file)
            verdict = _inspect(commission, data)
        except ResultRefused as exc:
            verdict = str(exc)
        else:
            file = commission.file
            story = "" if commission.is_picture or commission.is_simulated else data.decode()
            await asyncio.to_thread((out / file).write_bytes, data)
    request = commission.request
    return Outcome(
        job=view.id,
        title=commission.title,
        service=request.service,
        tenant=request.tenant,
        priority=request.priority,
        machines=tuple(str(event.data["machine"]) for event in events if event.kind == "job.started"),
        reason=reason,
        takes_s=commission.takes_s,
        submitted_ms=view.submitted_ms,
        finished_ms=view.finished_ms,
        waited_ms=_waited_ms(events),
        ran_ms=view.finished_ms - view.started_ms if view.started_ms else 0,
        attempts=view.attempts,
        recoveries=view.recoveries,
        file=file,
        verdict=verdict,
        trial=commission.trial,
        story=story,
        timeline=tuple((step.at_ms - events[0].at_ms, _told(step)) for step in steps_of(events)),
    )


async def _events(history: HistoryReader, job_id: str) -> Sequence[Event]:
    """The job's events once the history has the last of them."""
    deadline = asyncio.get_running_loop().time() + _HISTORY_S
    while True:
        events = (await history.job_events(job_id, count=_EVENTS)).events
        if (events and events[-1].kind in {"job.succeeded", "job.failed", "job.expired"}) or (
            asyncio.get_running_loop().time() > deadline
        ):
            return events
        await asyncio.sleep(0.05)


async def _result(view: JobView, *, assets: AssetStore, name: str) -> bytes:
    outputs: Any = (view.result or {}).get("outputs") or []
    if len(outputs) != 1:
        raise ResultRefused(name, f"it has {len(outputs)} outputs instead of one")
    if outputs[0].get("asset") is None:
        return str(outputs[0]["text"]).encode()
    return await assets.get(msgspec.convert(outputs[0]["asset"], AssetRef))


def _inspect(commission: Commission, data: bytes) -> str:
    if commission.is_simulated:
        return inspect_simulated(data.decode(), job=commission.request.id or "", takes_s=commission.takes_s)
    if not commission.is_picture:
        return inspect_text(data.decode(), name=commission.file)
    payload = commission.request.payload
    return inspect_picture(data, name=commission.file, width=payload["width"], height=payload["height"])


def _waited_ms(events: Sequence[Event]) -> int:
    started = next((event.at_ms for event in events if event.kind == "job.started"), None)
    return 0 if started is None else started - events[0].at_ms


def _told(step: Step) -> str:
    where = f" on {step.machine}" if step.machine else ""
    return f"{step.what}{where}" + (f" ({step.why})" if step.why else "")
