"""One round of one peer: submit, bulk submit, drain, latency while idle, latency after a pause."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.measure import ProcessorWatch, Sample, percentile, quieter
from benchmarks.peers.failures import PeerFailed
from benchmarks.peers.processes import Process
from benchmarks.peers.roster import Peer
from benchmarks.peers.server import Server
from benchmarks.peers.tally import PATH_VARIABLE, TallyReader

_ANSWER_S = 120.0
_DRAIN_S = 120.0
_WARM_UP = 10
#: Room for jobs that a queue starts twice.
_SPARE_STARTS = 1000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much one round measures."""

    submits: int
    #: Share of each peer's own number of jobs.
    jobs_share: float
    paced: int
    paced_interval_ms: int
    cold: int
    cold_interval_ms: int


FULL = Plan(submits=5000, jobs_share=1.0, paced=300, paced_interval_ms=20, cold=2, cold_interval_ms=2000)
QUICK = Plan(submits=2000, jobs_share=0.3, paced=100, paced_interval_ms=20, cold=2, cold_interval_ms=2000)


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process emptying the queue."""

    #: From the first start of a job to the moment the queue counted none any more.
    jobs_per_s: float
    #: The same, from the moment the worker process said it was ready.
    from_ready_per_s: float
    #: Jobs that were started more than once.
    repeated: int
    worker_us_per_job: float
    server_us_per_job: float


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """From just before the submit to the first line of the job."""

    p50_ms: float
    p99_ms: float


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one round found, each with how much others disturbed it."""

    submit_per_s: Sample[float]
    bulk_per_s: Sample[float]
    drain: Sample[Drain]
    idle: Sample[Latency]
    cold_ms: tuple[float, ...]
    versions: dict[str, str]

    @property
    def quiet(self) -> bool:
        return all(sample.quiet for sample in (self.submit_per_s, self.bulk_per_s, self.drain, self.idle))

    def quietest_of(self, other: Round) -> Round:
        """The less disturbed figure of each kind; cold starts, too few to choose from, are all kept."""
        return Round(
            submit_per_s=quieter(self.submit_per_s, other.submit_per_s),
            bulk_per_s=quieter(self.bulk_per_s, other.bulk_per_s),
            drain=quieter(self.drain, other.drain),
            idle=quieter(self.idle, other.idle),
            cold_ms=self.cold_ms + other.cold_ms,
            versions=self.versions,
        )


def take_round(peer: Peer, server: Server, plan: Plan, *, folder: Path) -> Round:
    """Measure once on an empty server. Raises `PeerFailed`; leaves no process behind."""
    server.renew()
    jobs = max(1, round(peer.jobs * plan.jobs_share))
    command = peer.client(server.url)
    with Process(f"{peer.name} client", command, folder=folder, answers=True) as client:
        versions = client.ask("open", within_s=_ANSWER_S)["versions"]
        submit_per_s = _submitted(client, server, do="submit", count=plan.submits)
        client.ask("close", within_s=_ANSWER_S)
        server.clear()
        client.ask("open", within_s=_ANSWER_S)
        bulk_per_s = _submitted(client, server, do="bulk", count=jobs)
        with _working(peer, server, jobs + _WARM_UP + plan.paced + plan.cold, folder=folder) as stage:
            drain = _drained(client, server, stage, jobs=jobs)
            stage.paced(client, count=_WARM_UP, interval_ms=plan.paced_interval_ms)
            watch = ProcessorWatch({client.group, server.group, stage.worker.group})
            waits_ms = stage.paced(client, count=plan.paced, interval_ms=plan.paced_interval_ms)
            latency = Latency(p50_ms=percentile(waits_ms, 50), p99_ms=percentile(waits_ms, 99))
            idle = Sample(value=latency, others_cores=watch.read().others_cores)
            cold_ms = stage.paced(client, count=plan.cold, interval_ms=plan.cold_interval_ms)
    return Round(
        submit_per_s=submit_per_s,
        bulk_per_s=bulk_per_s,
        drain=drain,
        idle=idle,
        cold_ms=cold_ms,
        versions=versions,
    )


class _Stage:
    """A worker at work, and how many of its starts have been accounted for."""

    def __init__(self, worker: Process, tally: TallyReader) -> None:
        self.worker, self.tally = worker, tally
        self._known = 0

    def starts(self, count: int, *, timeout_s: float) -> list[tuple[int, int]]:
        """The next `count` starts, waited for."""
        what = f"start {count} jobs"
        self.worker.wait_until(lambda: self.tally.has(self._known, count), timeout_s=timeout_s, what=what)
        records = self.tally.records(self._known, count)
        self._known += count
        return list(records)

    def skip_repeats(self) -> int:
        """Account for starts beyond those that were waited for; how many there were."""
        repeated = len(self.tally.records(self._known, _SPARE_STARTS))
        self._known += repeated
        return repeated

    def paced(self, client: Process, *, count: int, interval_ms: int) -> tuple[float, ...]:
        """Submit jobs at a pace and give each one's wait, in ms."""
        spell_s = count * interval_ms / 1000
        client.ask("paced", count=count, interval_ms=interval_ms, within_s=spell_s + _ANSWER_S)
        records = self.starts(count, timeout_s=_ANSWER_S)
        if len({submitted_ns for submitted_ns, _ in records}) != count:
            raise PeerFailed(self.worker.name, "started a job twice while its latency was measured")
        return tuple((started_ns - submitted_ns) / 1e6 for submitted_ns, started_ns in records)


@contextlib.contextmanager
def _working(peer: Peer, server: Server, starts: int, *, folder: Path) -> Iterator[_Stage]:
    tally = TallyReader(folder / f"{peer.name}.tally", starts + _SPARE_STARTS)
    variables = {PATH_VARIABLE: str(tally.path)}
    try:
        with Process(f"{peer.name} worker", peer.worker(server.url), folder=folder, variables=variables) as worker:
            worker.wait_until(lambda: tally.ready_ns != 0, timeout_s=_ANSWER_S, what="get ready")
            yield _Stage(worker, tally)
    finally:
        tally.close()


def _submitted(client: Process, server: Server, *, do: str, count: int) -> Sample[float]:
    watch = ProcessorWatch({client.group, server.group})
    answer = client.ask(do, count=count, within_s=_ANSWER_S)
    return Sample(value=count * 1e9 / answer["elapsed_ns"], others_cores=watch.read().others_cores)


def _drained(client: Process, server: Server, stage: _Stage, *, jobs: int) -> Sample[Drain]:
    # Begins a moment after the worker is ready, so its processor time lacks that moment; at most 5 ms of it.
    watch = ProcessorWatch({client.group, server.group, stage.worker.group})
    records = stage.starts(jobs, timeout_s=_DRAIN_S)
    drained_ns = client.ask("drained", within_s=_DRAIN_S + _ANSWER_S, timeout_s=_DRAIN_S)["drained_ns"]
    watched = watch.read()
    repeated = stage.skip_repeats()
    lost = jobs - len({number for number, _ in records})
    if lost > repeated:
        raise PeerFailed(stage.worker.name, f"never started {lost} of {jobs} jobs, and the queue counts none any more")
    first_ns = min(started_ns for _, started_ns in records)
    ready_ns = min(stage.tally.ready_ns, first_ns)
    value = Drain(
        jobs_per_s=jobs * 1e9 / (drained_ns - first_ns),
        from_ready_per_s=jobs * 1e9 / (drained_ns - ready_ns),
        repeated=max(lost, repeated),
        worker_us_per_job=watched.own_s[stage.worker.group] * 1e6 / jobs,
        server_us_per_job=watched.own_s[server.group] * 1e6 / jobs,
    )
    return Sample(value=value, others_cores=watched.others_cores)
