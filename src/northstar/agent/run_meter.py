"""Measuring runs: how long each was in which phase, and what it fetched, from the same reports that people are shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from northstar.domain.run_reports import HASH_CHARS, MAX_MODELS, ModelUsed, RunReport, to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from northstar.domain.progress import Phase, Progress

#: Runs measured at the same time; one that is forgotten ends without a report.
MAX_METERS: Final = 1_024


class RunMeter:
    """One run, from its beginning to now. Times are seconds of a monotonic clock."""

    def __init__(self, *, now: float) -> None:
        self._phase: Phase | None = None
        self._since = now
        self._spent: dict[Phase | None, float] = {}
        self._fetched: dict[str, int] = {}
        self._models: tuple[ModelUsed, ...] = ()
        self._peak_mb = 0
        #: Whether another run fell together with a part of this one.
        self.is_shared = False

    @property
    def fetches(self) -> bool:
        """Whether it still brings its models, so that what is in the GPU's memory is not its own."""
        return self._phase == "fetching"

    def saw_memory(self, used_mb: int) -> None:
        """So much GPU memory is in use, MB, and this run is the only one."""
        self._peak_mb = max(self._peak_mb, used_mb)

    def hear(self, news: Progress, *, now: float) -> None:
        """A report of the run. One without a phase leaves it where it was, except after a fetch: then it waits inside its engine."""
        if news.phase == "fetching" and news.bytes_done is not None:
            self._fetched[news.model] = max(self._fetched.get(news.model, 0), news.bytes_done)
        if news.phase is not None or self._phase == "fetching":
            self._turn(news.phase, now=now)

    def used(self, models: Iterable[ModelUsed]) -> None:
        """The run works with these files."""
        largest = sorted(models, key=lambda model: (-model.size_bytes, model.name))
        self._models = tuple(largest[:MAX_MODELS])

    def _turn(self, phase: Phase | None, *, now: float) -> None:
        self._spent[self._phase] = self._spent.get(self._phase, 0.0) + max(0.0, now - self._since)
        self._phase, self._since = phase, now

    def report(self, *, now: float) -> RunReport:
        """What the run took until now.

        An engine that names no phase of its work is taken to have worked all the time; where it names one, what came before
        is time that the job waited inside the engine.
        """
        self._turn(self._phase, now=now)
        spent = self._spent
        fetching_s, untold_s = spent.get("fetching", 0.0), spent.get(None, 0.0)
        says_when = "running" in spent or "loading" in spent
        fetched_bytes = sum(self._fetched.values())
        return RunReport(
            fetching_s=fetching_s,
            loading_s=spent.get("loading", 0.0),
            running_s=spent.get("running", 0.0) if says_when else untold_s,
            storing_s=spent.get("storing", 0.0),
            waiting_s=untold_s if says_when else 0.0,
            fetched_bytes=fetched_bytes,
            link_bytes_per_s=fetched_bytes / fetching_s if fetching_s > 0 else 0.0,
            peak_vram_mb=0 if self.is_shared else self._peak_mb,
            models=self._models,
        )


class RunMeters:
    """The runs that are measured now, by the token of their lease."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._clock = clock
        self._meters: dict[str, RunMeter] = {}
        #: Set while any run is measured.
        self.busy = asyncio.Event()

    def begin(self, token: str) -> None:
        """A run begins."""
        self._meters[token] = RunMeter(now=self._clock())
        while len(self._meters) > MAX_METERS:
            del self._meters[next(iter(self._meters))]
        if len(self._meters) > 1:
            for meter in self._meters.values():
                meter.is_shared = True
        self.busy.set()

    def alone(self) -> str | None:
        """The run that is, and has always been, the only one here, and has its models; None where there is none such."""
        if len(self._meters) != 1:
            return None
        ((token, meter),) = self._meters.items()
        return None if meter.is_shared or meter.fetches else token

    def saw_memory(self, token: str, used_mb: int) -> None:
        """So much GPU memory is in use while this run is the only one, MB."""
        if meter := self._meters.get(token):
            meter.saw_memory(used_mb)

    def hear(self, token: str, news: Progress) -> None:
        """A report of a run."""
        if meter := self._meters.get(token):
            meter.hear(news, now=self._clock())

    def used(self, token: str, models: Iterable[ModelUsed]) -> None:
        """A run works with these model files."""
        if meter := self._meters.get(token):
            meter.used(models)

    def end(self, token: str) -> str:
        """The run is over: its report as it travels; empty for a run that nobody measured."""
        meter = self._meters.pop(token, None)
        if not self._meters:
            self.busy.clear()
        return "" if meter is None else to_wire(meter.report(now=self._clock()))


def model_used(name: str, *, size_bytes: int, sha256: str | None) -> ModelUsed:
    """A file as a report names it."""
    return ModelUsed(name, size_bytes, (sha256 or "")[:HASH_CHARS])
