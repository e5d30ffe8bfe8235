"""Runs that tests measure."""

from __future__ import annotations

from typing import Any

from northstar.evaluation.outcomes import FetchOutcome, JobOutcome, MachineOutcome, RunOutcome

GB = 1_000_000_000
HOUR = 3_600_000


def job(at_s: float, wait_s: float | None = 0.0, run_s: float = 20.0, **facts: Any) -> JobOutcome:
    """A job that waited so long (None: for ever) and then ran so long."""
    at_ms = int(1_000 * at_s)
    began = None if wait_s is None else at_ms + int(1_000 * wait_s)
    ended = None if began is None else began + int(1_000 * run_s)
    usual: dict[str, Any] = {
        "pool": "fast-lane",
        "at_ms": at_ms,
        "began_ms": began,
        "ended_ms": ended,
        "ended": "unfinished" if began is None else "succeeded",
    }
    return JobOutcome(**(usual | facts))


def fetch(at_s: float, name: str, gb: float, *, baked: bool = False) -> FetchOutcome:
    """A file that came."""
    return FetchOutcome(at_ms=int(1_000 * at_s), name=name, size_bytes=int(gb * GB), baked=baked)


def run(jobs: list[JobOutcome], **facts: Any) -> RunOutcome:
    """A run of an hour."""
    usual: dict[str, Any] = {"policy": "north-star", "seed": 1, "from_ms": 0, "until_ms": HOUR, "jobs": tuple(jobs)}
    return RunOutcome(**(usual | facts))


def machine(
    name: str = "m1", *, from_h: float = 0.0, until_h: float = 1.0, busy_h: float = 0.5, **facts: Any
) -> MachineOutcome:
    """A machine that was paid for once."""
    usual: dict[str, Any] = {
        "id": name,
        "pool": "fast-lane",
        "paid_ms": ((int(from_h * HOUR), int(until_h * HOUR)),),
        "busy_s": busy_h * 3_600,
        "price_usd_per_hour": 0.4,
    }
    return MachineOutcome(**(usual | facts))
