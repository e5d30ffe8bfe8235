"""What jobs ask for, counted before any machine is thought of: work, sizes and times."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from northstar.domain.models import ModelKind
from northstar.evaluation.planning.goals import Goal
from northstar.simulation.inputs import SimulatedJob

#: Slices of time in which work is counted: about as long as a queue takes to be noticed.
_SLICE_MS: Final = 120_000
_GB: Final = 1_000_000_000
#: As much of an image as a machine that is big enough for every job may have of models.
_MOST_FILES: Final = 1_000
_MOST_GB: Final = 10_000


class ModelFile(NamedTuple):
    """A file that jobs need."""

    name: str
    kind: ModelKind
    size_bytes: int


class Demand:
    """The jobs of a part, or all of them. It keeps the run time of each job of the window, eight bytes, and the names of models."""

    def __init__(self, *, from_ms: int = 0, until_ms: int | None = None) -> None:
        """What is counted by time are jobs of the window; what a machine must be able to hold are all."""
        self._from_ms = from_ms
        self._until_ms = until_ms
        self._run_s = array("d")
        self._by_slice: Counter[int] = Counter()
        self._work_by_slice: Counter[int] = Counter()
        self.last_ms = 0
        self.all_jobs = 0
        self.services: Counter[str] = Counter()
        self.gpu_classes: Counter[str] = Counter()
        self.vram_mb = 0
        #: The job whose models together are the largest, by the largest of them.
        self.largest = ModelFile("", "other", 0)
        self.largest_bytes = 0
        self._files: dict[str, ModelFile] = {}
        self._asked_for: Counter[str] = Counter()

    def see(self, job: SimulatedJob) -> None:
        """One more."""
        request = job.request
        self.all_jobs += 1
        self.last_ms = max(self.last_ms, job.at_ms)
        self.services[request.service] += 1
        for gpu_class in job.run_s:
            if gpu_class:
                self.gpu_classes[gpu_class] += 1
        self.vram_mb = max(self.vram_mb, request.requires.vram_mb)
        fetched = [ModelFile(one.name, one.kind, one.size_bytes) for one in request.requires.models if one.sources]
        for file in fetched:
            self._files.setdefault(file.name, file)
            self._asked_for[file.name] += 1
        together = sum(file.size_bytes for file in fetched)
        if together > self.largest_bytes:
            self.largest_bytes = together
            self.largest = max(fetched, key=lambda file: file.size_bytes)
        if job.at_ms >= self._from_ms and (self._until_ms is None or job.at_ms < self._until_ms):
            run_s = min(job.run_s.values())
            self._run_s.append(run_s)
            self._by_slice[job.at_ms // _SLICE_MS] += 1
            self._work_by_slice[job.at_ms // _SLICE_MS] += round(run_s * 1_000)

    @property
    def jobs(self) -> int:
        """Of the window."""
        return len(self._run_s)

    @property
    def work_s(self) -> float:
        """Seconds of the work of the window, on the fastest class that is known of each job."""
        return sum(self._run_s)

    def possible(self, goal: Goal) -> float:
        """The share of jobs that could meet a goal if each had a machine of its own that holds its models: of waits all, of responses those whose work is that short."""
        if goal.what == "wait" or not self._run_s:
            return 1.0
        return sum(run_s * 1_000 < goal.below_ms for run_s in self._run_s) / len(self._run_s)

    def least(self, goals: Iterable[Goal], *, slots: int) -> int:
        """Machines below which the goals cannot be met, for want of time.

        The jobs that meet a goal begin within the window and the goal's time, and run at most as long as the longest; so machines that are there for so long
        must have the work of the shortest of them, as many as must meet it.
        """
        least = 1
        ordered = sorted(self._run_s)
        if not ordered:
            return least
        window_s = (
            (self.last_ms + 1 if self._until_ms is None else min(self._until_ms, self.last_ms + 1)) - self._from_ms
        ) / 1_000
        for goal in goals:
            must = ordered[: math.ceil(goal.share * len(ordered) - 1e-9)]
            room_s = window_s + goal.below_ms / 1_000 + ordered[-1]
            least = max(least, math.ceil(sum(must) / room_s / slots - 1e-9))
        return least

    def guess(self, goals: Iterable[Goal], *, slots: int) -> int:
        """Machines with which a search begins: enough for the work of the two minutes below which lie as many jobs as must meet the strictest goal."""
        share = max((goal.share for goal in goals), default=0.95)
        before = 0
        for work_ms, jobs in sorted((self._work_by_slice[part], jobs) for part, jobs in self._by_slice.items()):
            before += jobs
            if before >= share * len(self._run_s) - 1e-9:
                return max(1, math.ceil(work_ms / _SLICE_MS / slots))
        return 1

    def files(self) -> list[ModelFile]:
        """The models that an image may hold, those first that are asked for most; all of them, unless they are more than any image holds."""
        found: list[ModelFile] = []
        room = _MOST_GB * _GB
        for name, _ in sorted(self._asked_for.items(), key=lambda item: (-item[1], item[0])):
            file = self._files[name]
            if len(found) < _MOST_FILES and 0 < file.size_bytes <= room:
                found.append(file)
                room -= file.size_bytes
        return found


def demands(
    jobs: Iterable[SimulatedJob],
    circles: Sequence[frozenset[str]],
    pool_of: Callable[[int], str],
    *,
    from_ms: int,
    until_ms: int | None,
) -> list[Demand]:
    """What the jobs of several circles of pools ask for; an empty circle has them all. `pool_of` says the pool of a job by its number, from 1."""
    found = [Demand(from_ms=from_ms, until_ms=until_ms) for _ in circles]
    for number, job in enumerate(jobs, start=1):
        pool = pool_of(number)
        for demand, circle in zip(found, circles, strict=True):
            if not circle or pool in circle:
                demand.see(job)
    return found
