"""One `serve` and fleets of growing size: connect, dispatch, idle, storm."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop

from benchmarks.contract import Options, Outcome
from benchmarks.gateway.fleet import POOL, Fleet
from benchmarks.gateway.residency import words
from benchmarks.measure import ProcessorWatch, percentile, spread
from benchmarks.peers.processes import Process
from benchmarks.peers.server import Server, started
from northstar import telemetry
from northstar.broker.keys import Keys
from northstar.broker.submission import Submitter
from northstar.domain.api_keys import KeyTerms, Scope
from northstar.domain.jobs import JobRequest
from northstar.domain.limits import CellLimits
from northstar.store.cell import Cell
from northstar.store.valkey import connect

SIZES = (500, 2_000)
#: p99 from just before the submit to the moment at which an idle machine has the job.
GOAL_P99_MS = 10.0
_JOBS, _APART_S = 300, 0.02
_IDLE_S = 10.0
_SETTLE_S = 3.0
_WITHIN_S = 180.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One round with one fleet."""

    machines: int
    connect_s: float
    p50_ms: float
    p99_ms: float
    #: Cores that `serve` takes while the fleet idles, heartbeats and the dispatcher's looks included.
    idle_cores: float
    #: The same while somebody watches the live page.
    watched_cores: float
    memory_mb: float
    #: From the new process's first sign of life until all machines wait for work again.
    storm_s: float
    others_cores: float
    #: News of models, fetches and lines that the whole fleet told, a second, while it idled.
    news_per_s: float


def run(options: Options) -> Outcome:
    """Measure every size, `rounds` times."""
    telemetry.configure(level="error")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    found: list[Figures] = []
    for number in range(options.rounds):
        for size in (50,) if options.quick else SIZES:
            print(f"round {number + 1} of {options.rounds}: {size} machines", file=sys.stderr, flush=True)
            found.append(uvloop.run(_one(size)))
    return Outcome(text=_text(found), figures={"rounds": msgspec.to_builtins(found), "targets": targets(found)})


def targets(found: Sequence[Figures]) -> dict[str, list[float]]:
    """What the largest fleet says of targets, a value for each round."""
    most = max(figures.machines for figures in found)
    rounds = [figures for figures in found if figures.machines == most]
    return {
        "machines-connected": [float(figures.machines) for figures in rounds],
        "dispatch-p99": [figures.p99_ms for figures in rounds],
    }


async def _one(size: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="northstar-gateway-") as name, started(Path(name)) as server:
        folder = Path(name)
        port = _free_port()
        client = connect(server.url)
        try:
            cell = Cell(client, "gateway")
            await cell.open(CellLimits(), configure=True)
            await cell.declare([f"pool:{POOL}", "service:count", *words()], by="benchmark")
            return await _measured(cell, server, size, folder=folder, port=port)
        finally:
            await client.aclose()


async def _measured(cell: Cell, server: Server, size: int, *, folder: Path, port: int) -> Figures:
    url = f"http://127.0.0.1:{port}"
    fleet = Fleet(cell, url, size)
    known = await fleet.tokens()
    async with contextlib.AsyncExitStack() as stack:
        serve = stack.enter_context(_serve(server, folder=folder, port=port))
        await _answers(url)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        since_s = time.monotonic()
        living = await stack.enter_async_context(_alive(fleet, http, known))
        await fleet.all_wait(within_s=_WITHIN_S)
        connect_s = time.monotonic() - since_s
        # The machines are hosts of their own in reality: their number must not make the process that measures pause.
        gc.collect()
        gc.freeze()
        waits_ms = await _dispatched(cell, fleet)
        watch, told = ProcessorWatch({serve.group}), fleet.told
        await asyncio.sleep(_IDLE_S)
        watched = watch.read()
        news_per_s = (fleet.told - told) / watched.elapsed_s
        watched_cores = await _watched(cell, url, serve.group)
        memory_mb = _resident_mb(serve.group)
        fleet.forget_waiting()
        os.killpg(serve.group, signal.SIGKILL)
        stack.enter_context(_serve(server, folder=folder, port=port))
        await _answers(url)
        since_s = time.monotonic()
        await fleet.all_wait(within_s=_WITHIN_S)
        storm_s = time.monotonic() - since_s
        living.cancel()
        gc.unfreeze()
    return Figures(
        machines=size,
        connect_s=connect_s,
        p50_ms=percentile(waits_ms, 50),
        p99_ms=percentile(waits_ms, 99),
        idle_cores=watched.own_s[serve.group] / watched.elapsed_s,
        watched_cores=watched_cores,
        memory_mb=memory_mb,
        storm_s=storm_s,
        others_cores=watched.others_cores,
        news_per_s=news_per_s,
    )


async def _watched(cell: Cell, url: str, group: int) -> float:
    """Cores that `serve` takes while one browser follows the live page."""
    keys = Keys(cell, random_bytes=secrets.token_bytes, now_ms=lambda: time.time_ns() // 1_000_000)
    key = (await keys.make(KeyTerms(name="watcher", scopes=(Scope.READ,)), by="benchmark")).key.reveal()
    headers = {"Cookie": f"northstar_key={key}"}
    async with aiohttp.ClientSession() as http, http.get(f"{url}/live/stream", headers=headers) as answer:
        if answer.status != 200:
            raise RuntimeError(f"the live page answered with {answer.status}")
        await answer.content.readany()
        watch = ProcessorWatch({group})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_S):
                while await answer.content.readany():
                    pass
        watched = watch.read()
    return watched.own_s[group] / watched.elapsed_s


def _serve(server: Server, *, folder: Path, port: int) -> Process:
    variables = {
        "NORTHSTAR_VALKEY_URL": server.url,
        "NORTHSTAR_CELL": "gateway",
        "NORTHSTAR_DATA_DIR": str(folder / "serve"),
        "NORTHSTAR_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-P", "-m", "northstar", "serve", "--port", str(port)]
    return Process(f"serve {secrets.token_hex(2)}", command, folder=folder, variables=variables)


@contextlib.asynccontextmanager
async def _alive(fleet: Fleet, http: aiohttp.ClientSession, known: list[Any]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(fleet.live(http, known))
    await asyncio.sleep(0)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _answers(url: str) -> None:
    async with asyncio.timeout(_WITHIN_S), aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with http.get(f"{url}/health") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.02)


async def _dispatched(cell: Cell, fleet: Fleet) -> list[float]:
    """Waits of jobs that were submitted one by one, in ms."""
    submitter = Submitter(cell, new_id=lambda: secrets.token_hex(10), monotonic=time.monotonic)
    await _paced(submitter, fleet, count=10)
    # The lane is new with the first job; every machine gets it among its candidates now.
    await asyncio.sleep(_SETTLE_S)
    submitted = await _paced(submitter, fleet, count=_JOBS)
    return [(fleet.started[number] - number) / 1e6 for number in submitted]


async def _paced(submitter: Submitter, fleet: Fleet, *, count: int) -> list[int]:
    """Submit jobs at a pace, and wait until machines have them all; each one's number is when it was submitted."""
    submitted: list[int] = []
    begun_s = time.monotonic()
    for turn in range(count):
        await asyncio.sleep(max(0.0, begun_s + turn * _APART_S - time.monotonic()))
        submitted.append(time.monotonic_ns())
        await submitter.submit([JobRequest(service="count", pool=POOL, payload={"number": submitted[-1]})])
    async with asyncio.timeout(_WITHIN_S):
        while not fleet.started.keys() >= set(submitted):
            await asyncio.sleep(0.01)
    return submitted


def _resident_mb(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return float(fields["VmRSS"].split()[0]) / 1_000


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _text(found: list[Figures]) -> str:
    lines = [
        "| machines | connect s | dispatch p50 ms | p99 ms | idle cores | watched | memory MB | storm s | news/s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    verdicts = []
    for size in dict.fromkeys(figures.machines for figures in found):
        rounds = [figures for figures in found if figures.machines == size]
        cells = [
            _cell([getattr(figures, name) for figures in rounds], digits)
            for name, digits in (
                ("connect_s", 1), ("p50_ms", 2), ("p99_ms", 2), ("idle_cores", 3), ("watched_cores", 3), ("memory_mb", 0), ("storm_s", 1),
                ("news_per_s", 1),
            )
        ]  # fmt: skip
        lines.append(f"| {size:,} | {' | '.join(cells)} |")
        p99 = spread(figures.p99_ms for figures in rounds).median
        word = "goal held" if p99 <= GOAL_P99_MS else "GOAL MISSED"
        verdicts.append(f"{word}: p99 {p99:.2f} ms with {size:,} machines; goal {GOAL_P99_MS:g} ms")
    return "\n".join([*lines, "", *verdicts])


def _cell(values: list[float], digits: int) -> str:
    known = spread(values)
    return f"{known.median:.{digits}f} ({known.low:.{digits}f}-{known.high:.{digits}f})"
