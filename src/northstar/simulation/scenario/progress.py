"""How a simulation goes while it runs: numbers for whoever waits, taken together so that no more is held than is shown."""

from __future__ import annotations

import math
from array import array
from typing import Final

import msgspec

from northstar.simulation.outcome import JobOutcome

#: What "soon" means in all figures.
SOON_S: Final = 10.0


class PoolSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of a pool, by where they ran, or where they waited to the end. Seconds are from submit to the beginning of the work."""

    pool: str
    jobs: int
    succeeded: int
    #: Of all that were not cancelled, the share that waited less than 10 s; one that never began did not. None: there are none.
    soon: float | None
    #: Of those, how many never began.
    never: int
    #: Of those that began, the wait of half and of 95 % of them.
    wait_p50_s: float | None
    wait_p95_s: float | None
    #: Jobs for which a base model had to be fetched first.
    cold: int
    fetched_gb: float


class _Tally:
    def __init__(self) -> None:
        self.jobs = 0
        self.succeeded = 0
        self.waits = array("d")
        self.soon = 0
        self.never = 0
        self.cold = 0
        self.fetched_bytes = 0

    def add(self, job: JobOutcome) -> None:
        self.jobs += 1
        self.succeeded += job.ending == "succeeded"
        self.cold += job.is_cold
        self.fetched_bytes += job.fetched_bytes
        if job.ending == "canceled":
            return
        if job.began_ms is None:
            self.never += 1
        else:
            self.waits.append(job.waited_s)
            self.soon += job.waited_s < SOON_S

    @property
    def judged(self) -> int:
        """Those that were not cancelled."""
        return len(self.waits) + self.never


class Tally:
    """Of one run. It keeps the wait of each counted job, eight bytes, and nothing else of it."""

    def __init__(self, *, from_ms: int, until_ms: int | None) -> None:
        """Counted are jobs submitted from `from_ms` to before `until_ms`."""
        self._from_ms = from_ms
        self._until_ms = until_ms
        self._pools: dict[str, _Tally] = {}
        #: All jobs, those outside of the window too.
        self.ended = 0
        self.now_ms = 0

    def add(self, job: JobOutcome) -> None:
        """A job has ended."""
        self.ended += 1
        self.now_ms = max(self.now_ms, job.ended_ms)
        if job.submitted_ms < self._from_ms or (self._until_ms is not None and job.submitted_ms >= self._until_ms):
            return
        self._pools.setdefault(job.pool or job.optimal, _Tally()).add(job)

    @property
    def soon(self) -> float | None:
        """Of the counted jobs that were not cancelled, the share that waited less than 10 s; None where there is none."""
        judged = sum(one.judged for one in self._pools.values())
        return sum(one.soon for one in self._pools.values()) / judged if judged else None

    @property
    def cold(self) -> int:
        """Counted jobs that waited for a base model to be fetched."""
        return sum(one.cold for one in self._pools.values())

    @property
    def fetched_bytes(self) -> int:
        """That counted jobs waited for."""
        return sum(one.fetched_bytes for one in self._pools.values())

    def pools(self) -> tuple[PoolSummary, ...]:
        """Every pool, and at the end all of them together, by the name `all`."""
        return (*(_summary(name, self._pools[name]) for name in sorted(self._pools)), _summary("all", self._whole()))

    def _whole(self) -> _Tally:
        whole = _Tally()
        for one in self._pools.values():
            whole.jobs += one.jobs
            whole.succeeded += one.succeeded
            whole.waits.extend(one.waits)
            whole.soon += one.soon
            whole.never += one.never
            whole.cold += one.cold
            whole.fetched_bytes += one.fetched_bytes
        return whole


def _summary(pool: str, tally: _Tally) -> PoolSummary:
    waits = sorted(tally.waits)
    return PoolSummary(
        pool=pool,
        jobs=tally.jobs,
        succeeded=tally.succeeded,
        soon=round(tally.soon / tally.judged, 6) if tally.judged else None,
        never=tally.never,
        wait_p50_s=_quantile(waits, 0.5),
        wait_p95_s=_quantile(waits, 0.95),
        cold=tally.cold,
        fetched_gb=round(tally.fetched_bytes / 1e9, 3),
    )


def _quantile(ordered: list[float], share: float) -> float | None:
    """The least of which at least this share is not more."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
