"""One round of one view: single claims, then batches of completing and claiming."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from benchmarks.cell import info
from benchmarks.claim.fill import FilledCell
from benchmarks.claim.shapes import Plan, Reach
from benchmarks.jobs import RESULT
from benchmarks.measure import ProcessorWatch, Sample, percentile
from northstar.domain.jobs import ClaimedJob
from northstar.store import messages as m

#: Claims between two readings of the server's counters.
_BLOCK = 40


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one view in one round. Times in microseconds; the server's are its own count of the time in FCALL."""

    claim_p50_us: float
    claim_p99_us: float
    claim_server_us: float
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
    jobs: int


def take_round(view: View, plan: Plan, *, server_pid: int) -> Sample[Round]:
    """Measure the view once."""
    watch = ProcessorWatch({server_pid})
    timer = _Timer(view)
    block = min(_BLOCK, view.filled.shape.room(view.reach))
    singles = _joined([timer.claims(block) for _ in range(-(-plan.claims // block))])
    batches = _joined([timer.batch(plan.credits_) for _ in range(plan.batches)])
    view.filled.cell.forget_events()
    value = Round(
        claim_p50_us=percentile(singles.client_us, 50),
        claim_p99_us=percentile(singles.client_us, 99),
        claim_server_us=singles.server_us / len(singles.client_us),
        commands={name: calls / len(singles.client_us) for name, calls in singles.commands.items()},
        batch_p50_us=percentile(batches.client_us, 50) / (batches.jobs / len(batches.client_us)),
        batch_server_us=batches.server_us / batches.jobs,
        batch_commands=sum(batches.commands.values()) / batches.jobs,
        batch_jobs=batches.jobs / len(batches.client_us),
    )
    return Sample(value=value, others_cores=watch.read().others_cores)


class _Timer:
    """Makes the timed calls, and puts the queue back as it was after them."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._filled, self._cell = view.filled, view.filled.cell

    def claims(self, count: int) -> Calls:
        """Single claims, one after the other; their jobs are completed and replaced afterwards."""
        taken: list[tuple[str, ClaimedJob]] = []
        client_us: list[float] = []
        machines = [self._filled.machine(self._view.reach) for _ in range(count)]
        before = self._counters()
        for machine in machines:
            nonce = self._filled.nonce()
            start_ns = time.perf_counter_ns()
            jobs = self._cell.claim(machine, credits_=1, nonce=nonce).jobs
            client_us.append((time.perf_counter_ns() - start_ns) / 1000)
            taken += [(machine, job) for job in jobs]
        used = _used(before, self._counters())
        if len(taken) < count:
            raise RuntimeError(f"{self._view.name}: {count} claims got {len(taken)} jobs although work was waiting")
        for machine in dict.fromkeys(machine for machine, _ in taken):
            self._cell.complete(machine, _done([job for holder, job in taken if holder == machine]))
        self._filled.replace([job for _, job in taken])
        return Calls(client_us=client_us, server_us=used.pop("fcall")[1], commands=_counts(used), jobs=len(taken))

    def batch(self, credits_: int) -> Calls:
        """One call that completes a batch and claims the next."""
        machine = self._filled.machine(self._view.reach)
        held = self._cell.claim(machine, credits_=credits_, nonce=self._filled.nonce()).jobs
        self._filled.replace(held)
        done, nonce = _done(held), self._filled.nonce()
        before = self._counters()
        start_ns = time.perf_counter_ns()
        taken = self._cell.complete_and_claim(machine, done, credits_=credits_, nonce=nonce).jobs
        client_us = (time.perf_counter_ns() - start_ns) / 1000
        used = _used(before, self._counters())
        if not taken:
            raise RuntimeError(f"{self._view.name}: a batch got no job although work was waiting")
        self._cell.complete(machine, _done(taken))
        self._filled.replace(taken)
        return Calls(client_us=[client_us], server_us=used.pop("fcall")[1], commands=_counts(used), jobs=len(taken))

    def _counters(self) -> dict[str, tuple[int, int]]:
        known = info(self._cell.client, "commandstats")
        return {name.removeprefix("cmdstat_"): (entry["calls"], entry["usec"]) for name, entry in known.items()}


def _used(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Calls and microseconds of each command between two readings; the first reading itself is left out."""
    used = {}
    for name, (calls, usec) in after.items():
        known = before.get(name, (0, 0))
        if name != "info" and calls > known[0]:
            used[name] = (calls - known[0], usec - known[1])
    return used


def _counts(used: dict[str, tuple[int, int]]) -> dict[str, float]:
    return {name: float(calls) for name, (calls, _) in used.items()}


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
        jobs=sum(part.jobs for part in parts),
    )
