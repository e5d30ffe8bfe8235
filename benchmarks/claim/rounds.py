"""One round over all views: single claims, and batches of completing and claiming."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from benchmarks.cell import info
from benchmarks.claim.fill import FilledCell
from benchmarks.claim.shapes import Plan, Reach
from benchmarks.jobs import RESULT
from benchmarks.measure import ProcessorWatch, Sample, interleaved, percentile
from northstar.domain.jobs import ClaimedJob
from northstar.store import messages as m

#: Claims between two readings of the server's counters.
_BLOCK = 40
#: Calls after which a claim that gets nothing, although work waits, is a fault and not a figure.
_MOST_CALLS = 100


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one view in one round. Times in microseconds; the server's are its own count of the time in FCALL."""

    claim_p50_us: float
    claim_p99_us: float
    claim_server_us: float
    #: Calls until a claim got its job: one that had no time to look everywhere says "again", and is made again at once.
    claim_calls: float
    #: How many commands one claim gave the store, by name.
    commands: dict[str, float]
    #: A job of a full batch: its share of a call of `complete_and_claim`.
    batch_p50_us: float
    batch_server_us: float
    batch_commands: float
    #: How many jobs a batch got on average.
    batch_jobs: float


class View(msgspec.Struct, frozen=True):
    """A filled cell, and which machines claim from it."""

    filled: FilledCell
    reach: Reach

    @property
    def name(self) -> str:
        return f"{self.filled.shape.name} | {self.reach}"


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """Timed calls, what the server says of them, and how many jobs they brought."""

    client_us: list[float]
    server_us: float
    commands: dict[str, float]
    calls: int
    jobs: int


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What one visit to a view brought."""

    singles: Calls
    batches: Calls
    others_cores: float


def take_round(views: Sequence[View], plan: Plan, *, server_pid: int) -> dict[str, Sample[Round]]:
    """Measure every view, in short visits one after the other."""
    visits: dict[str, list[Visit]] = {view.name: [] for view in views}
    for _, view in interleaved(views, plan.visits):
        visits[view.name].append(_visit(view, plan, server_pid=server_pid))
    return {name: _round(taken) for name, taken in visits.items()}


def _visit(view: View, plan: Plan, *, server_pid: int) -> Visit:
    watch, timer = ProcessorWatch({server_pid}), _Timer(view)
    block = min(_BLOCK, view.filled.shape.room(view.reach))
    singles = _joined([timer.claims(block) for _ in range(-(-plan.claims // block))])
    batches = _joined([timer.batch(plan.credits_) for _ in range(plan.batches)])
    view.filled.cell.forget_events()
    return Visit(singles=singles, batches=batches, others_cores=watch.read().others_cores)


def _round(visits: Sequence[Visit]) -> Sample[Round]:
    singles = _joined([visit.singles for visit in visits])
    batches = _joined([visit.batches for visit in visits])
    claims = len(singles.client_us)
    value = Round(
        claim_p50_us=percentile(singles.client_us, 50),
        claim_p99_us=percentile(singles.client_us, 99),
        claim_server_us=singles.server_us / claims,
        claim_calls=singles.calls / claims,
        commands={name: calls / claims for name, calls in singles.commands.items()},
        batch_p50_us=percentile(batches.client_us, 50) / (batches.jobs / len(batches.client_us)),
        batch_server_us=batches.server_us / batches.jobs,
        batch_commands=sum(batches.commands.values()) / batches.jobs,
        batch_jobs=batches.jobs / len(batches.client_us),
    )
    return Sample(value=value, others_cores=sum(visit.others_cores for visit in visits) / len(visits))


class _Timer:
    """Makes the timed calls, and puts the queue back as it was after them."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._filled, self._cell = view.filled, view.filled.cell

    def claims(self, count: int) -> Calls:
        """Single claims, one after the other; their jobs are completed and replaced afterwards."""
        machines = [self._filled.machine(self._view.reach) for _ in range(count)]
        taken: list[tuple[str, ClaimedJob]] = []
        client_us: list[float] = []
        before = self._counters()
        for machine in machines:
            start_ns = time.perf_counter_ns()
            jobs = self._claim(machine, credits_=1)
            client_us.append((time.perf_counter_ns() - start_ns) / 1000)
            taken += [(machine, job) for job in jobs]
        calls = _calls(before, self._counters(), client_us=client_us, jobs=len(taken))
        for machine in dict.fromkeys(machines):
            self._cell.complete(machine, _done([job for holder, job in taken if holder == machine]))
        self._filled.replace([job for _, job in taken])
        return calls

    def batch(self, credits_: int) -> Calls:
        """One call that completes a batch and claims the next."""
        machine = self._filled.machine(self._view.reach)
        held = self._claim(machine, credits_=credits_)
        self._filled.replace(held)
        done, nonce = _done(held), self._filled.nonce()
        before = self._counters()
        start_ns = time.perf_counter_ns()
        taken = self._cell.complete_and_claim(machine, done, credits_=credits_, nonce=nonce).jobs
        taken = taken or self._claim(machine, credits_=credits_)
        client_us = (time.perf_counter_ns() - start_ns) / 1000
        calls = _calls(before, self._counters(), client_us=[client_us], jobs=len(taken))
        self._cell.complete(machine, _done(taken))
        self._filled.replace(taken)
        return calls

    def _claim(self, machine: str, *, credits_: int) -> list[ClaimedJob]:
        """Claim until there is a job; an answer without one says that the look was not finished."""
        for _ in range(_MOST_CALLS):
            jobs = self._cell.claim(machine, credits_=credits_, nonce=self._filled.nonce()).jobs
            if jobs:
                return jobs
        raise RuntimeError(f"{self._view.name}: {_MOST_CALLS} claims in a row got nothing although work was waiting")

    def _counters(self) -> dict[str, tuple[int, int]]:
        known = info(self._cell.client, "commandstats")
        return {name.removeprefix("cmdstat_"): (entry["calls"], entry["usec"]) for name, entry in known.items()}


def _calls(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], *, client_us: list[float], jobs: int
) -> Calls:
    """What happened between two readings; the first reading itself is left out."""
    commands: dict[str, float] = {}
    for name, (calls, _) in after.items():
        if calls > before.get(name, (0, 0))[0] and name not in ("info", "fcall"):
            commands[name] = float(calls - before.get(name, (0, 0))[0])
    calls, server_us = (now - then for now, then in zip(after["fcall"], before["fcall"], strict=True))
    return Calls(client_us=client_us, server_us=server_us, commands=commands, calls=calls, jobs=jobs)


def _done(jobs: Sequence[ClaimedJob]) -> list[m.Done]:
    return [m.Done(job.id, job.token, RESULT) for job in jobs]


def _joined(parts: Sequence[Calls]) -> Calls:
    commands: dict[str, float] = {}
    for part in parts:
        for name, count in part.commands.items():
            commands[name] = commands.get(name, 0.0) + count
    return Calls(
        client_us=[value for part in parts for value in part.client_us],
        server_us=sum(part.server_us for part in parts),
        commands=commands,
        calls=sum(part.calls for part in parts),
        jobs=sum(part.jobs for part in parts),
    )
