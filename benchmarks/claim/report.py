"""A table for each phase, and whether a claim costs the same whatever waits."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence

import msgspec

from benchmarks.claim.rounds import Round, View
from benchmarks.claim.shapes import Plan, Reach, Shape
from benchmarks.measure import QUIET_CORES, Sample, percentile, spread

#: How far the slowest median claim may be from the fastest.
GOAL = 1.5

#: Of the shapes that the target speaks of.
_LANES = 1_000

Phase = Mapping[str, Sequence[Sample[Round]]]


class Known(msgspec.Struct, frozen=True):
    """A view, once its cell is gone."""

    name: str
    shape: Shape
    reach: Reach


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured, by phase and view."""

    phases: dict[str, dict[str, list[Sample[Round]]]]
    pings_us: list[float]
    server: str
    plan: Plan
    views: tuple[Known, ...]


def known(views: Sequence[View]) -> tuple[Known, ...]:
    """What the tables say of the views."""
    return tuple(Known(view.name, view.filled.shape, view.reach) for view in views)


def text(found: Found) -> str:
    """Everything a person needs to judge the run."""
    if not found.views:
        return "nothing was measured"
    rounds = len(next(iter(found.phases["in time"].values())))
    heading = (
        f"{found.server}, unix socket, append-only file synced every second; one waiting client, Python "
        f"{platform.python_version()}; medians (lowest-highest) of {rounds} interleaved rounds of {found.plan.visits} visits with "
        f"{found.plan.claims} claims and {found.plan.batches} batch of {found.plan.credits_} credits; quiet: rounds with at most {QUIET_CORES} cores taken by "
        f"other programs. A PING takes {percentile(found.pings_us, 50):.0f} µs. hard: as many unservable lanes beside, 100 "
        "unservable jobs at the head and many profiles; machines: one that serves all lanes, one that serves ten, or one of each "
        "profile in turn."
    )
    parts = [heading]
    for name, phase in found.phases.items():
        parts += [f"## {name}", _table(_TITLES, [_row(view, phase[view.name]) for view in found.views])]
        parts.append("\n".join(verdicts(found.views, phase)))
    return "\n\n".join(parts)


def verdicts(views: Sequence[Known], phase: Phase) -> list[str]:
    """The goal over everything, and the ratios that tell where the spread comes from."""
    lines = [_verdict("all of them", views, phase)]
    groups: dict[str, list[Known]] = {}
    for view in views:
        groups.setdefault(_group(view), []).append(view)
    lines += [_ratio(f"{title}: sizes", members, phase) for title, members in groups.items() if len(members) > 1]
    return lines


def targets(found: Found) -> dict[str, list[float]]:
    """What a claim among the most jobs costs beside one among the fewest, where both wait in 1,000 lanes with all that is hard, round by round.

    Nothing where these sizes were not measured; of several kinds of machines and of both phases the worst.
    """
    growth: list[list[float]] = []
    for reach in ("all", "few", "in turn"):
        small, large = (f"{jobs:,} in {_LANES:,}, hard | {reach}" for jobs in (1_000, 1_000_000))
        for phase in found.phases.values():
            if small in phase and large in phase:
                pairs = zip(phase[large], phase[small], strict=True)
                growth.append([_client_us(most.value) / _client_us(least.value) for most, least in pairs])
    return {"claim-growth": [max(of_round) for of_round in zip(*growth, strict=True)]} if growth else {}


def _group(view: Known) -> str:
    """What a view is, whatever its size."""
    return view.name.split(" in ", 1)[1]


def _verdict(title: str, views: Sequence[Known], phase: Phase) -> str:
    ratio, _, _ = _extremes(views, phase, _client_us)
    held = "goal held" if ratio <= GOAL else "GOAL MISSED"
    return f"{held} (at most {GOAL:g}): {_ratio(title, views, phase)}"


def _ratio(title: str, views: Sequence[Known], phase: Phase) -> str:
    client, slowest, fastest = _extremes(views, phase, _client_us)
    server, _, _ = _extremes(views, phase, _server_us)
    return f"{title}: client p50 {client:.2f} ({fastest} to {slowest}), server {server:.2f}"


def _extremes(
    views: Sequence[Known], phase: Phase, read: Callable[[Round], float]
) -> tuple[float, str, str]:  # fmt: skip
    medians = {view.name: spread(read(one.value) for one in phase[view.name]).median for view in views}
    slowest, fastest = max(medians, key=medians.__getitem__), min(medians, key=medians.__getitem__)
    return medians[slowest] / medians[fastest], slowest, fastest


def _client_us(one: Round) -> float:
    return one.claim_p50_us


def _server_us(one: Round) -> float:
    return one.claim_server_us


_TITLES = (
    "jobs in lanes", "machines", "claim p50 µs", "p99 µs", "server µs", "calls", "commands", "batch: µs a job", "server µs a job",
    "commands a job", "got", "quiet",
)  # fmt: skip


def _row(view: Known, taken: Sequence[Sample[Round]]) -> list[str]:
    values = [one.value for one in taken]
    return [
        view.shape.name,
        view.reach,
        _spread([one.claim_p50_us for one in values]),
        _spread([one.claim_p99_us for one in values]),
        _spread([one.claim_server_us for one in values]),
        f"{spread(one.claim_calls for one in values).median:.1f}",
        f"{spread(sum(one.commands.values()) for one in values).median:.1f}",
        _spread([one.batch_p50_us for one in values], digits=1),
        _spread([one.batch_server_us for one in values], digits=1),
        f"{spread(one.batch_commands for one in values).median:.1f}",
        f"{spread(one.batch_jobs for one in values).median:.0f}",
        f"{sum(one.quiet for one in taken)}/{len(taken)}",
    ]


def _spread(values: Sequence[float], *, digits: int = 0) -> str:
    one = spread(values)
    median, low, high = (f"{value:.{digits}f}" for value in (one.median, one.low, one.high))
    return f"{median} ({low}-{high})"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    lines = [titles, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )
