"""The peers side by side: medians with their spread, ratios, who promises what, and whether the goals hold."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence

import msgspec

from benchmarks.measure import QUIET_CORES, percentile, spread
from benchmarks.peers.roster import FLOOR, NORTHSTAR, Peer
from benchmarks.peers.rounds import Plan, Round


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of every round, and how it is written."""

    title: str
    read: Callable[[Round], float]
    more_is_better: bool
    digits: int = 0


COLUMNS = (
    Column(title="submit/s", read=lambda r: r.submit_per_s.value, more_is_better=True),
    Column(title="bulk/s", read=lambda r: r.bulk_per_s.value, more_is_better=True),
    Column(title="drain/s", read=lambda r: r.drain.value.jobs_per_s, more_is_better=True),
    Column(title="from ready/s", read=lambda r: r.drain.value.from_ready_per_s, more_is_better=True),
    Column(title="p50 ms", read=lambda r: r.idle.value.p50_ms, more_is_better=False, digits=2),
    Column(title="p99 ms", read=lambda r: r.idle.value.p99_ms, more_is_better=False, digits=2),
)
_DRAIN, _P50, _P99 = COLUMNS[2], COLUMNS[4], COLUMNS[5]
#: How far ahead of the fastest Python queue North Star's drain has to be.
DRAIN_GOAL = 2.0

Rounds = Mapping[str, Sequence[Round]]


def text(peers: Sequence[Peer], rounds: Rounds, *, plan: Plan, server: str, skipped: Mapping[str, str]) -> str:
    """Everything a person needs to judge the run."""
    if not peers:
        return "nothing was measured"
    parts = [
        f"{server}, loopback TCP; one worker process each; Python {platform.python_version()}; {_extent(plan, rounds)}.",
        _table(["peer", "delivery", *(c.title for c in COLUMNS), "cold p50 / max ms", "worker / server µs a job", "quiet"],
               [_figures(peer, rounds[peer.name]) for peer in peers]),
        _ratios(peers, rounds),
        "\n".join(_goals(peers, rounds)),
        "\n".join(f"- {peer.name} ({_versions(rounds[peer.name])}): {peer.setup}" for peer in peers),
        "\n".join(f"- {name}: not measured, {reason}" for name, reason in skipped.items()),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part)


def _extent(plan: Plan, rounds: Rounds) -> str:
    fewest = min(len(taken) for taken in rounds.values() if taken)
    return (
        f"medians (lowest-highest) of {fewest} interleaved rounds; {plan.submits} submits one by one, "
        f"{plan.paced} jobs every {plan.paced_interval_ms} ms, {plan.cold} after {plan.cold_interval_ms / 1000:g} s each; "
        f"quiet: samples of submit, bulk, drain and latency with at most {QUIET_CORES} cores taken by other programs"
    )


def _figures(peer: Peer, taken: Sequence[Round]) -> list[str]:
    cold_ms = [wait_ms for one in taken for wait_ms in one.cold_ms]
    worker, server = (
        spread(getattr(one.drain.value, field) for one in taken).median
        for field in ("worker_us_per_job", "server_us_per_job")
    )
    return [
        peer.name,
        peer.delivery if peer.at_least_once else f"** {peer.delivery} **",
        *(_spread(column, taken) for column in COLUMNS),
        f"{percentile(cold_ms, 50):.2f} / {max(cold_ms):.2f}",
        f"{worker:.0f} / {server:.0f}",
        "/".join(str(number) for number in _quiet(taken)),
    ]


def _spread(column: Column, taken: Sequence[Round]) -> str:
    known = spread(column.read(one) for one in taken)
    median, low, high = (f"{value:.{column.digits}f}" for value in (known.median, known.low, known.high))
    return f"{median} ({low}-{high})"


def _quiet(taken: Sequence[Round]) -> tuple[int, ...]:
    kinds = ("submit_per_s", "bulk_per_s", "drain", "idle")
    return tuple(sum(getattr(one, kind).quiet for one in taken) for kind in kinds)


def _ratios(peers: Sequence[Peer], rounds: Rounds) -> str:
    """Each peer's median as a multiple of North Star's; where it is absent, of the best queue's in that column."""
    queues = [peer for peer in peers if peer.name != FLOOR] or list(peers)
    reference = [peer for peer in queues if peer.name == NORTHSTAR]
    against = "northstar" if reference else "the best queue in each column"
    bases = [_best(column, reference or queues, rounds)[1] for column in COLUMNS]
    rows = [
        [peer.name, *(f"{_median(column, rounds[peer.name]) / base:.2f}" for column, base in zip(COLUMNS, bases, strict=True))]
        for peer in peers
    ]  # fmt: skip
    heading = f"Multiples of {against} (more is better for /s, less for ms):"
    return f"{heading}\n\n{_table(['peer', *(column.title for column in COLUMNS)], rows)}"


def _median(column: Column, taken: Sequence[Round]) -> float:
    return spread(column.read(one) for one in taken).median


def _best(column: Column, among: Sequence[Peer], rounds: Rounds) -> tuple[Peer, float]:
    medians = [(peer, _median(column, rounds[peer.name])) for peer in among]
    return (max if column.more_is_better else min)(medians, key=lambda pair: pair[1])


def _goals(peers: Sequence[Peer], rounds: Rounds) -> list[str]:
    """North Star's goals against this run's rivals; nothing to say without North Star, or without rivals."""
    if NORTHSTAR not in {peer.name for peer in peers}:
        return []
    own = rounds[NORTHSTAR]
    rivals = [peer for peer in peers if peer.name not in (NORTHSTAR, FLOOR)]
    lines = []
    if in_python := [peer for peer in rivals if peer.python]:
        rival, theirs = _best(_DRAIN, in_python, rounds)
        ratio = _median(_DRAIN, own) / theirs
        held = _held(ratio >= DRAIN_GOAL)
        lines.append(f"{held}: drain {ratio:.2f} times {rival.name}'s, the fastest Python queue (goal {DRAIN_GOAL:g})")
    if durable := [peer for peer in rivals if peer.at_least_once]:
        for column in (_P50, _P99):
            rival, theirs = _best(column, durable, rounds)
            ours = _median(column, own)
            held = _held(ours < theirs)
            lines.append(
                f"{held}: {column.title} {ours:.2f} against {theirs:.2f} of {rival.name}, the best at-least-once"
            )
    return lines


def targets(peers: Sequence[Peer], rounds: Rounds) -> dict[str, list[float]]:
    """North Star's drain beside that of the fastest Python queue, round by round; nothing without both."""
    in_python = [peer for peer in peers if peer.python and peer.name not in (NORTHSTAR, FLOOR)]
    if NORTHSTAR not in {peer.name for peer in peers} or not in_python:
        return {}
    rival, _ = _best(_DRAIN, in_python, rounds)
    pairs = zip(rounds[NORTHSTAR], rounds[rival.name], strict=False)
    return {"queue-ratio": [_DRAIN.read(own) / _DRAIN.read(theirs) for own, theirs in pairs]}


def _held(holds: bool) -> str:
    return "goal held" if holds else "GOAL MISSED"


def _versions(taken: Sequence[Round]) -> str:
    return ", ".join(f"{name} {number}" for name, number in taken[0].versions.items())


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    lines = [titles, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )
