"""How well durations are foretold, online and strictly causally: a trace replayed through the deployed estimator.

A run is known only from its submit plus its time on. What is foretold at a submit follows from what had finished by then.
"""

from __future__ import annotations

import heapq
import math
import statistics
import time
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.domain.estimates import DurationEstimate, FinishedRun
from northstar.domain.workloads import Workload
from northstar.policy.routing.duration import DurationEstimator, JobToTime
from northstar.simulation.workload.gentd26 import picture_requests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from northstar.simulation.workload.gentd26 import PictureRequest

_DAY_S: Final = 86_400.0
_NOON_S: Final = _DAY_S / 2
_BORDERS_S: Final = (0.0, 3.0, 30.0, 300.0, float("inf"))
TOLERANCE: Final = 0.25


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request that succeeded; `at_s` counts from an epoch at midnight."""

    at_s: float
    ran_s: float
    kind: str
    user: str
    model: str
    steps: int
    images: int
    shape: str

    @property
    def day(self) -> int:
        """Service day: from noon to noon, since the trace is quiet then."""
        return math.floor((self.at_s - _NOON_S) / _DAY_S)


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One method on the evaluated days."""

    requests: int
    band: float
    band_tolerant: float
    wape: float
    near: float
    mdape: float


def read_requests(trace: Path) -> list[Request]:
    """Requests of a GenTD26 trace that succeeded, by time. Raises what `picture_requests` does."""
    found = [_request(row) for row in picture_requests(trace) if row.status == "SUCCEED" and row.ran_s > 0]
    return sorted(found, key=lambda request: request.at_s)


def _request(row: PictureRequest) -> Request:
    steps, images = int(row.steps), int(row.images)
    return Request(
        at_s=row.submitted.replace(tzinfo=UTC).timestamp(),
        ran_s=row.ran_s,
        kind=row.task,
        user=row.user,
        model=row.model,
        steps=steps,
        images=images,
        shape=f"{row.task}|{steps}|{images}|{row.lora_list}|{row.style}",
    )


def last_days(trace: Sequence[Request], days: int) -> list[int]:
    """Which requests are of the last service days, by their places."""
    first_day = max(request.day for request in trace) - days + 1
    return [at for at, request in enumerate(trace) if request.day >= first_day]


def foretell(trace: Sequence[Request]) -> tuple[list[DurationEstimate], float]:
    """The estimate of each at its submit, by what had finished by then; and microseconds of processor time a request."""
    estimator, running, found = DurationEstimator(), list[tuple[float, int]](), list[DurationEstimate]()
    began_s = time.process_time()
    for number, request in enumerate(trace):
        while running and running[0][0] <= request.at_s:
            ended_s, ended = heapq.heappop(running)
            estimator.learn(_finished(trace[ended], ended_s))
        found.append(estimator.estimate(_job(request)))
        heapq.heappush(running, (request.at_s + request.ran_s, number))
    return found, (time.process_time() - began_s) * 1e6 / max(len(trace), 1)


def score(foretold: Sequence[float], actual: Sequence[float]) -> Score:
    """Compare; WAPE is the sum of errors over the sum of actual seconds, near is within 25 % of the actual."""
    pairs = list(zip(foretold, actual, strict=True))
    return Score(
        requests=len(pairs),
        band=_share(_in_band(guess, ran_s, 0.0) for guess, ran_s in pairs),
        band_tolerant=_share(_in_band(guess, ran_s, TOLERANCE) for guess, ran_s in pairs),
        wape=sum(abs(guess - ran_s) for guess, ran_s in pairs) / sum(actual),
        near=_share(abs(guess - ran_s) <= TOLERANCE * ran_s for guess, ran_s in pairs),
        mdape=statistics.median(abs(guess - ran_s) / ran_s for guess, ran_s in pairs),
    )


def replayed(trace: Path, *, days: int) -> Score:
    """The online estimator on the last service days of a GenTD26 trace. Raises what `picture_requests` does."""
    requests = read_requests(trace)
    estimates, _ = foretell(requests)
    places = last_days(requests, days)
    return score([estimates[at].p50_s for at in places], [requests[at].ran_s for at in places])


def _in_band(guess_s: float, ran_s: float, tolerance: float) -> bool:
    """Whether the actual time lies in the band that was foretold, its borders moved outwards by the tolerance."""
    upper = next(number for number, border in enumerate(_BORDERS_S) if guess_s < border)
    return _BORDERS_S[upper - 1] * (1 - tolerance) <= ran_s < _BORDERS_S[upper] * (1 + tolerance)


def _job(request: Request) -> JobToTime:
    workload = Workload(modalities=("image",), shape=request.shape, steps=request.steps, images=request.images)
    return JobToTime(service=request.kind, workload=workload, model=request.model, user=request.user)


def _finished(request: Request, ended_s: float) -> FinishedRun:
    return FinishedRun(
        shape=request.shape,
        service=request.kind,
        model=request.model,
        user=request.user,
        gpu_class="",
        ran_s=request.ran_s,
        work=float(max(request.steps, 1) * max(request.images, 1)),
        finished_ms=int(ended_s * 1000),
    )


def _share(truths: Any) -> float:
    return statistics.fmean(map(float, truths))
