"""Continuous validation of reliability: is the broker there, and how do its jobs end? (spec, "Success Validation": uptime and error rate monitoring).

Each look is a line of the history: whether the broker said that it can serve, and how long that took. Uptime is the share of looks that found it
so, which is what it is in time as long as somebody looks at even distances (cron, a timer). An error rate is worked out from one's own
history where it is given.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec

from northstar.evaluation.all_targets import figure_of
from northstar.evaluation.measures import share_of, uptime
from northstar.evaluation.validation.errors import ValidationImpossible
from northstar.simulation.workload.own_trace import traced_jobs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from northstar.evaluation.targets import Goal

#: Where a broker says whether it can serve.
_READY: Final = "/health/ready"
_WITHIN_S: Final = 5.0
_ANSWER_BYTES: Final = 4_096
#: Looks that are kept: two months of one each minute.
MOST_LOOKS: Final = 90_000
#: How jobs end that did not succeed; one that was handed back has not ended, and one that was cancelled is nobody's error.
_SPOILED: Final = frozenset({"failed", "lost", "expired"})
_ENDED: Final = _SPOILED | {"succeeded"}


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look."""

    #: ISO 8601 in UTC.
    at: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
    up: bool
    #: How long the answer took, ms.
    took_ms: float
    #: Why it was not up; empty: it was.
    why: Annotated[str, msgspec.Meta(max_length=400)] = ""


class Reliability(NamedTuple):
    """How it stands."""

    looks: int
    uptime: float
    goal: Goal
    down: int


class Errors(NamedTuple):
    """How jobs of a history ended."""

    jobs: int
    rate: float
    goal: Goal


def look_at(url: str, *, at: str) -> Look:
    """Ask a broker whether it can serve, and wait at most five seconds. Raises ValidationImpossible: this is no address of a broker."""
    if not url.startswith(("http://", "https://")):
        raise ValidationImpossible(f"{url!r} is no address of a broker; give one that begins with http:// or https://")
    began_s = time.perf_counter()
    why = ""
    try:
        with urllib.request.urlopen(url.rstrip("/") + _READY, timeout=_WITHIN_S) as answer:  # noqa: S310 -- checked above
            answer.read(_ANSWER_BYTES)
    except urllib.error.HTTPError as exc:
        why = f"answered {exc.code}"
    except http.client.InvalidURL as exc:
        raise ValidationImpossible(f"{url!r} is no address of a broker: {exc}") from exc
    except (
        OSError,
        ValueError,
        http.client.HTTPException,
    ) as exc:  # of the last ones: something else answers there, and not in HTTP
        why = (str(exc) or type(exc).__name__)[:400]
    return Look(at=at, up=not why, took_ms=round(1_000 * (time.perf_counter() - began_s), 1), why=why)


def reliability_of(looks: Sequence[Look], *, now: datetime, days: float) -> Reliability:
    """How it stood in the last so many days. Raises NothingToMeasure: nobody looked."""
    since = (now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    inside = [one.up for one in looks if one.at >= since]
    goal = figure_of("uptime").spec
    assert goal is not None  # noqa: S101 -- the specification names one
    return Reliability(len(inside), uptime(inside), goal, inside.count(False))


def errors_of(trace: Path) -> Errors:
    """How the jobs of one's own history ended, by their last runs; those that were cancelled or handed back are left out. Raises what reading a trace does; NothingToMeasure."""
    jobs = spoiled = 0
    for job in traced_jobs(trace):
        if job.outcome in _ENDED:
            jobs += 1
            spoiled += job.outcome in _SPOILED
    goal = figure_of("completion").spec
    assert goal is not None  # noqa: S101 -- the specification names one
    return Errors(jobs, share_of(spoiled, jobs, "no job that ended and was not cancelled"), goal)
