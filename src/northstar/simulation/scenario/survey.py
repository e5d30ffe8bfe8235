"""A look at all jobs before any of them runs: how many there are, until when they come, and the most that any of them needs."""

from __future__ import annotations

from typing import NamedTuple

from northstar.simulation.inputs import SimulatedJob


class Asked(NamedTuple):
    """What the jobs of one service, in one pool if they name one, need at most."""

    service: str
    #: Empty: they leave it to the broker.
    pool: str
    jobs: int
    #: The largest file that must be fetched, and its bytes.
    largest: str
    largest_bytes: int
    vram_mb: int


class Survey(NamedTuple):
    """Of a whole workload."""

    jobs: int
    last_ms: int
    asked: tuple[Asked, ...]


class Surveyor:
    """Looks at every job once, and keeps nothing of it but what is the most."""

    def __init__(self) -> None:
        self.jobs = 0
        self._last_ms = 0
        self._asked: dict[tuple[str, str], Asked] = {}

    def see(self, job: SimulatedJob) -> None:
        """One more."""
        self.jobs += 1
        self._last_ms = max(self._last_ms, job.at_ms)
        request = job.request
        service, pool = request.service, request.pool or ""
        before = self._asked.get((service, pool)) or Asked(service, pool, 0, "", 0, 0)
        largest, largest_bytes = before.largest, before.largest_bytes
        for model in request.requires.models:
            if model.sources and model.size_bytes > largest_bytes:
                largest, largest_bytes = model.name, model.size_bytes
        vram_mb = max(before.vram_mb, request.requires.vram_mb)
        self._asked[service, pool] = Asked(service, pool, before.jobs + 1, largest, largest_bytes, vram_mb)

    def survey(self) -> Survey:
        """What was seen."""
        return Survey(self.jobs, self._last_ms, tuple(self._asked[key] for key in sorted(self._asked)))
