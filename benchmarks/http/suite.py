"""Submit and get on one `serve`, beside the same framework doing nothing."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import msgspec
import uvloop

from benchmarks.contract import Options, Outcome
from benchmarks.http.load import Measured, call, measured
from benchmarks.measure import ProcessorWatch, interleaved, spread
from benchmarks.peers.processes import Process
from benchmarks.peers.server import Server, started
from northstar import telemetry
from northstar.agent.direct_link import DirectLink
from northstar.broker.keys import Keys
from northstar.domain.api_keys import KeyTerms, Scope
from northstar.domain.limits import CellLimits
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.store.cell import Cell
from northstar.store.valkey import connect

_CELL = "http"
_SERVICE = "echo"
_MANY = 32
#: Calls of one measurement, by one connection and by many; the first few are not counted.
_CALLS = {1: 500, _MANY: 4_000}
_WARM = 200
_WITHIN_S = 60.0
#: What a chat completion is like.
_PAYLOAD = {"prompt": "Tell me of the north star. " * 8, "max_tokens": 256, "temperature": 0.7}


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked."""

    name: str
    port: int
    group: int
    key: str = ""
    job: str = "job_0"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of one round."""

    site: str
    what: str
    connections: int
    measured: Measured
    #: Processor milliseconds of the asked process for one call.
    cpu_ms: float
    others_cores: float


def run(options: Options) -> Outcome:
    """Measure both, `rounds` times, in turn."""
    telemetry.configure(level="error")
    found = uvloop.run(_rounds(options))
    return Outcome(text=_text(found), figures={"rounds": msgspec.to_builtins(found)})


async def _rounds(options: Options) -> list[Figure]:
    found: list[Figure] = []
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="northstar-http-")))
        server = stack.enter_context(started(folder))
        north = await stack.enter_async_context(_north(server, folder))
        bare = await stack.enter_async_context(_bare(folder))
        sent = 0
        for number, site in interleaved([north, bare], options.rounds):
            print(f"round {number + 1} of {options.rounds}: {site.name}", file=sys.stderr, flush=True)
            for connections, calls in _CALLS.items():
                asked = calls // 10 if options.quick else calls
                for what, make, status in (
                    ("submit", _submit(site), 202),
                    ("get", _get(site), 200),
                ):
                    await measured(
                        site.port, make, status=status, connections=connections, calls=_WARM // 10, first=sent
                    )
                    sent += _WARM
                    watch = ProcessorWatch({site.group})
                    figures = await measured(
                        site.port, make, status=status, connections=connections, calls=asked, first=sent
                    )
                    watched = watch.read()
                    sent += asked
                    found.append(
                        Figure(
                            site=site.name,
                            what=what,
                            connections=connections,
                            measured=figures,
                            cpu_ms=watched.own_s[site.group] * 1e3 / asked,
                            others_cores=watched.others_cores,
                        )
                    )
    return found


def _submit(site: Site) -> Callable[[int], bytes]:
    def make(number: int) -> bytes:
        job = {"service": _SERVICE, "payload": _PAYLOAD, "idempotency_key": f"n{number}", "user": f"u{number % 100}"}
        return call("POST", "/v1/jobs", key=site.key, body=msgspec.json.encode(job))

    return make


def _get(site: Site) -> Callable[[int], bytes]:
    text = call("GET", f"/v1/jobs/{site.job}", key=site.key)
    return lambda _: text


@contextlib.asynccontextmanager
async def _north(server: Server, folder: Path) -> AsyncIterator[Site]:
    client = connect(server.url)
    try:
        cell = Cell(client, _CELL)
        # A machine that fits and never asks for work: jobs are routed as usual, and wait.
        await cell.open(CellLimits(max_tenant_jobs=1_000_000, alive_ms=86_400_000), configure=True)
        profile = MachineProfile(pools=("standard", "fast-lane"), services=(_SERVICE,))
        link = DirectLink(cell, machine="m", session="s", new_nonce=lambda: secrets.token_hex(8))
        await link.register(profile, MachineDescription(), slots=4, models=())
        keys = Keys(cell, random_bytes=secrets.token_bytes, now_ms=lambda: time.time_ns() // 1_000_000)
        made = await keys.make(KeyTerms(name="benchmark", scopes=(Scope.SUBMIT, Scope.READ)), by="benchmark")
        port = _free_port()
        variables = {
            "NORTHSTAR_VALKEY_URL": server.url,
            "NORTHSTAR_CELL": _CELL,
            "NORTHSTAR_DATA_DIR": str(folder / "serve"),
            "NORTHSTAR_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-P", "-m", "northstar", "serve", "--port", str(port)]
        with Process("serve", command, folder=folder, variables=variables) as serve:
            await _answers(port)
            key = made.key.reveal()
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
                body = {"service": _SERVICE, "payload": _PAYLOAD}
                async with http.post(f"http://127.0.0.1:{port}/v1/jobs", json=body) as answer:
                    job = (await answer.json())["id"]
                async with http.post(f"http://127.0.0.1:{port}/v1/jobs/{job}/cancel", json={}) as answer:
                    answer.raise_for_status()
            yield Site(name="North Star", port=port, group=serve.group, key=key, job=job)
    finally:
        await client.aclose()


@contextlib.asynccontextmanager
async def _bare(folder: Path) -> AsyncIterator[Site]:
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.http.bare", str(port)]
    with Process("bare", command, folder=folder, variables={"PYTHONPATH": str(Path(__file__).parents[2])}) as bare:
        await _answers(port)
        yield Site(name="the framework alone", port=port, group=bare.group)


async def _answers(port: int) -> None:
    async with asyncio.timeout(_WITHIN_S), aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with http.get(f"http://127.0.0.1:{port}/health") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _text(found: list[Figure]) -> str:
    lines = [
        "| call | connections | asked | per second | p50 ms | p99 ms | CPU ms a call |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    ratios = []
    for what in ("submit", "get"):
        for connections in _CALLS:
            medians = {}
            for site in dict.fromkeys(figure.site for figure in found):
                rounds = [one for one in found if (one.site, one.what, one.connections) == (site, what, connections)]
                medians[site] = spread(one.measured.per_s for one in rounds).median
                cells = [
                    _cell([one.measured.per_s for one in rounds], 0),
                    _cell([one.measured.p50_ms for one in rounds], 2),
                    _cell([one.measured.p99_ms for one in rounds], 2),
                    _cell([one.cpu_ms for one in rounds], 2),
                ]
                lines.append(f"| {what} | {connections} | {site} | {' | '.join(cells)} |")
            north, bare = medians.values()
            ratios.append(
                f"{what} over {connections}: {north / bare:.2f} of the framework alone ({north:,.0f} of {bare:,.0f}/s)"
            )
    return "\n".join([*lines, "", *ratios])


def _cell(values: list[float], digits: int) -> str:
    known = spread(values)
    return f"{known.median:,.{digits}f} ({known.low:,.{digits}f}-{known.high:,.{digits}f})"
