"""One soak: begin, submit while hosts are killed, wait for the last job, read the events, judge."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import uvloop
from sqlalchemy import select

from benchmarks.contract import Options, Outcome
from benchmarks.jobs import parts
from benchmarks.measure import ProcessorWatch, percentile
from benchmarks.peers.processes import Process
from benchmarks.peers.server import started
from benchmarks.soak.hosts import Hosts
from benchmarks.soak.plan import SERVICE, Plan, request
from benchmarks.soak.serving import answers, resident_mb, serve
from benchmarks.soak.verdict import Verdict, verdict
from northstar import telemetry
from northstar.broker.submission import Submitter
from northstar.domain.events import Event, EventId
from northstar.domain.limits import CellLimits
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase, tables
from northstar.store.valkey import connect

#: From a kill to the start elsewhere.
GOAL_RECOVERY_S = 10.0
_BATCH = 100
_LOOK_S = 0.5
_CONNECTED_WITHIN_S = 120.0
#: After the last submission, for what is still to do.
_DONE_WITHIN_S = 900.0
_TOLD_EVERY_S = 10.0
_CELL = "soak"
#: In one hour.
_HOUR_S = 3_600.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One soak."""

    plan: Plan
    took_s: float
    kills: int
    verdict: Verdict
    serve_cores: float
    #: Taken by everything else on this computer: machines, Valkey, other programs.
    others_cores: float
    #: Memory of `serve` when all machines had connected, at each tenth of the jobs, and at the end.
    memory_mb: tuple[float, ...]

    @property
    def jobs_per_s(self) -> float:
        return self.plan.jobs / self.took_s


def run(options: Options) -> Outcome:
    """One soak, however many rounds are asked for: it is one long round by itself."""
    telemetry.configure(level="error")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    plan = plan_of(options)
    figures = uvloop.run(_soak(plan))
    told = msgspec.to_builtins(figures) | {"targets": targets(figures)}
    return Outcome(text=text_of(figures), figures=told, failures=failures_of(figures))


def targets(figures: Figures) -> dict[str, list[float]]:
    """What it says of targets: of an hour only if it was one."""
    lost, twice = len(figures.verdict.lost), len(figures.verdict.done_twice)
    found = {"lost-jobs": [float(lost + twice)]}
    if figures.plan.over_s >= _HOUR_S:
        hours = figures.plan.over_s / _HOUR_S
        found |= {"hour-finished": [(figures.plan.jobs - lost) / hours], "hour-lost": [float(lost)]}
    return found


def plan_of(options: Options) -> Plan:
    plan = Plan(jobs=500, hosts=4) if options.quick else Plan()
    if options.jobs is not None:
        plan = msgspec.structs.replace(plan, jobs=options.jobs)
    if options.over_s is not None:
        plan = msgspec.structs.replace(plan, over_s=options.over_s)
    return plan


async def _soak(plan: Plan) -> Figures:
    with tempfile.TemporaryDirectory(prefix="northstar-soak-") as name, started(Path(name)) as server:
        folder, client = Path(name), connect(server.url)
        try:
            cell = Cell(client, _CELL)
            await cell.open(CellLimits(), configure=True)
            await cell.declare(["pool:standard", f"service:{SERVICE}"], by="benchmark")
            history = f"sqlite:///{folder / 'history.db'}"
            with serve(server.url, cell=_CELL, history=history, folder=folder) as (broker, url):
                return await _run(plan, cell, broker, url=url, history=history, folder=folder)
        finally:
            await client.aclose()


async def _run(plan: Plan, cell: Cell, broker: Process, *, url: str, history: str, folder: Path) -> Figures:
    await answers(url)
    hosts = Hosts(plan, cell, broker=url, folder=folder)
    try:
        await hosts.begin()
        await _reach(cell, "parked_size", plan.hosts * plan.machines_each, hosts, within_s=_CONNECTED_WITHIN_S)
        memory = [resident_mb(broker.group)]
        watch, since_s = ProcessorWatch({broker.group}), time.monotonic()
        async with _killing(hosts):
            submitting = asyncio.create_task(_submitted(cell, plan))
            for tenth in range(1, 11):
                within_s = plan.over_s + _DONE_WITHIN_S
                await _reach(cell, "succeeded", plan.jobs * tenth // 10, hosts, within_s=within_s)
                memory.append(resident_mb(broker.group))
                done_s = time.monotonic() - since_s
                print(f"{tenth * 10} % after {done_s:.0f} s, {hosts.kills} kills", file=sys.stderr, flush=True)
            took_s = time.monotonic() - since_s
            await submitting
        watched = watch.read()
        events = await _events(cell, history)
    finally:
        hosts.end()
    wanted = [request(plan, number).id or "" for number in range(plan.jobs)]
    return Figures(
        plan=plan,
        took_s=took_s,
        kills=hosts.kills,
        verdict=verdict(events, wanted, hosts.lost),
        serve_cores=watched.own_s[broker.group] / watched.elapsed_s,
        others_cores=watched.others_cores,
        memory_mb=tuple(memory),
    )


@contextlib.asynccontextmanager
async def _killing(hosts: Hosts) -> AsyncIterator[None]:
    task = asyncio.create_task(hosts.kill_for_ever())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


async def _submitted(cell: Cell, plan: Plan) -> None:
    submitter = Submitter(cell, new_id=lambda: secrets.token_hex(10), monotonic=time.monotonic)
    rng, since_s = random.Random(plan.seed), time.monotonic()
    moments = sorted(rng.uniform(0, plan.over_s) for _ in range(plan.jobs))
    for numbers in parts(range(plan.jobs), 1 if plan.over_s else _BATCH):
        await asyncio.sleep(max(0.0, since_s + moments[numbers[0]] - time.monotonic()))
        await submitter.submit([request(plan, number) for number in numbers])


async def _reach(cell: Cell, name: str, count: int, hosts: Hosts, *, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while (await cell.statistics()).counts[name] < count:
            hosts.check()
            await asyncio.sleep(_LOOK_S)


async def _events(cell: Cell, url: str) -> list[Event]:
    """Everything that happened, once it is all in the history."""
    async with asyncio.timeout(_DONE_WITHIN_S):
        while True:
            counts = (await cell.statistics()).counts
            if counts["committed_event"] == counts["event"]:
                break
            await asyncio.sleep(_LOOK_S)
    database = HistoryDatabase(url)
    await database.open()
    try:
        query = select(tables.events).where(tables.events.c.cell == cell.name).order_by("epoch", "sequence")
        rows = await database.read(lambda connection: list(connection.execute(query)))
    finally:
        await database.close()
    return [
        Event(
            id=EventId(row.epoch, row.sequence),
            kind=row.kind,
            subject=row.subject,
            number=row.number,
            at_ms=row.at_ms,
            data=row.data,
        )
        for row in rows
    ]


def failures_of(figures: Figures) -> tuple[str, ...]:
    """What must not be, by name."""
    found = figures.verdict
    counted = {"lost": found.lost, "done twice": found.done_twice, "charged for a lost machine": found.charged}
    return tuple(f"{len(jobs)} jobs {what}: {', '.join(jobs[:5])}" for what, jobs in counted.items() if jobs)


def text_of(figures: Figures) -> str:
    """A table and the verdicts."""
    plan, found, memory = figures.plan, figures.verdict, figures.memory_mb
    waits_s = [ms / 1_000 for ms in found.recoveries_ms]
    lines = [
        f"{plan.jobs:,} jobs over {plan.hosts * plan.machines_each} machines in {plan.hosts} processes, "
        + (f"coming in over {plan.over_s:,.0f} s" if plan.over_s else "all at once"),
        "",
        "| took s | jobs/s | kills | recovered | p50 s | p99 s | serve cores | memory MB, start, half, end | all else, cores |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| {figures.took_s:,.0f} | {figures.jobs_per_s:.1f} | {figures.kills} | {len(waits_s)} | "
        + (f"{percentile(waits_s, 50):.1f} | {percentile(waits_s, 99):.1f}" if waits_s else "- | -")
        + f" | {figures.serve_cores:.2f} | {memory[0]:.0f}, {memory[len(memory) // 2]:.0f}, {memory[-1]:.0f}"
        + f" | {figures.others_cores:.2f} |",
        "",
        f"{len(found.lost)} lost, {len(found.done_twice)} done twice, {len(found.charged)} charged",
    ]
    if waits_s:
        p99 = percentile(waits_s, 99)
        word = "goal held" if p99 <= GOAL_RECOVERY_S else "GOAL MISSED"
        lines.append(f"{word}: started elsewhere {p99:.1f} s after the kill (p99); goal {GOAL_RECOVERY_S:g} s")
    return "\n".join(lines)
