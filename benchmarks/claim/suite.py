"""All shapes side by side in one server, so that rounds alternate between them; first in time, then all overdue."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.cell import Served, served
from benchmarks.claim import report
from benchmarks.claim.fill import FilledCell
from benchmarks.claim.rounds import Round, View, take_round
from benchmarks.claim.shapes import FULL, QUICK, Plan, Shape
from benchmarks.contract import Options, Outcome
from benchmarks.measure import Sample

#: Round trips without work in every round: what a call costs before the function begins.
_PINGS = 200
#: Memory that is left to everybody else.
_SPARE_BYTES = 1_000_000_000


def measure_claims(options: Options, *, plan: Plan | None = None) -> Outcome:
    """Fill every shape, measure all views in time and then overdue, and judge the spread between sizes."""
    plan = plan or (QUICK if options.quick else FULL)
    shapes, too_large = fitting(plan.shapes, available_bytes=available_bytes())
    with served(append_only=True) as server:
        filled = _fill(server, shapes)
        views = [View(cell, reach) for cell in filled for reach in cell.shape.views]
        phases = {"in time": _phase(server, views, plan, rounds=options.rounds, phase="in time")}
        for cell in filled:
            cell.make_all_overdue()
        phases["overdue"] = _phase(server, views, plan, rounds=options.rounds, phase="overdue")
        pings_us = _pings_us(server, options.rounds)
        version = server.version
    found = report.Found(
        phases=phases, pings_us=pings_us, server=f"Valkey {version}", plan=plan, views=report.known(views)
    )
    return Outcome(
        text=report.text(found),
        figures={
            "phases": msgspec.to_builtins(phases),
            "pings_us": pings_us,
            "valkey": version,
            "targets": report.targets(found),
        },
        failures=tuple(
            f"{shape.name}: not measured, the shapes want {shape.bytes_wanted / 1e9:.1f} GB more memory than is free"
            for shape in too_large
        ),
    )


def fitting(shapes: Sequence[Shape], *, available_bytes: int) -> tuple[list[Shape], list[Shape]]:
    """Shapes that fit side by side into memory, in order, and those that do not."""
    left = available_bytes - _SPARE_BYTES
    kept: list[Shape] = []
    too_large: list[Shape] = []
    for shape in shapes:
        if shape.bytes_wanted <= left:
            kept.append(shape)
            left -= shape.bytes_wanted
        else:
            too_large.append(shape)
    return kept, too_large


def available_bytes() -> int:
    """Memory that this machine could give to a new program now."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(kilobytes) * 1024


def _fill(server: Served, shapes: Sequence[Shape]) -> list[FilledCell]:
    cells = []
    for number, shape in enumerate(shapes):
        start_s = time.monotonic()
        cell = FilledCell(server.client, shape, f"shape{number}")
        cell.fill()
        cells.append(cell)
        _say(f"filled {shape.name} in {time.monotonic() - start_s:.1f} s")
    return cells


def _phase(
    server: Served, views: Sequence[View], plan: Plan, *, rounds: int, phase: str
) -> dict[str, list[Sample[Round]]]:
    taken: dict[str, list[Sample[Round]]] = {view.name: [] for view in views}
    for number in range(rounds):
        _say(f"{phase}: round {number + 1} of {rounds}")
        first = number % len(views) if views else 0
        for name, sample in take_round([*views[first:], *views[:first]], plan, server_pid=server.pid).items():
            taken[name].append(sample)
    return taken


def _pings_us(server: Served, rounds: int) -> list[float]:
    times_us = []
    for _ in range(rounds * _PINGS):
        start_ns = time.perf_counter_ns()
        server.client.ping()
        times_us.append((time.perf_counter_ns() - start_ns) / 1000)
    return times_us


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
