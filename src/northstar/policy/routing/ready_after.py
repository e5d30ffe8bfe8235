"""How long a lane's job must have waited before a machine that lacks its models may take it (delay scheduling).

Zaharia et al., "Delay Scheduling" (EuroSys 2010): waiting a little for a machine that holds the data beats moving the data.
Here the patience follows from the bytes that *this* machine lacks, its bandwidth, and how many jobs wait for the holders
already (residency is not occupancy): with a long queue before the holders, fetching a copy pays at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Used while a machine's link is not measured: 50 MB/s, a common consumer line.
ASSUMED_BYTES_PER_S = 50_000_000.0


class PatienceRule(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the rule."""

    #: Longest patience in ms, however large the model.
    cap_ms: int = 30_000
    #: Extra wait in ms when the model is on disk but not in the engine's memory.
    load_ms: int = 1_500


def missing_bytes(anchors: Sequence[tuple[str, int]], held: Mapping[str, str]) -> int:
    """Bytes of the anchor models that a machine with `held` (name -> 'resident' | 'disk') would have to fetch."""
    return sum(size_bytes for name, size_bytes in anchors if name not in held)


def ready_after_ms(
    *,
    anchors: Sequence[tuple[str, int]],
    held: Mapping[str, str],
    bytes_per_s: float,
    unfinished: int,
    better: int,
    rule: PatienceRule,
) -> int:
    """Milliseconds that a lane's oldest job must have waited before this machine may take it.

    Args:
        anchors: the lane's anchor models as (name, bytes).
        held: models on the machine: name -> 'resident' or 'disk'.
        bytes_per_s: its measured download rate; 0 is unknown.
        unfinished: jobs of the lane that are not finished: what the better machines are asked for already.
        better: machines that could start the lane's jobs sooner than this one, because they lack less.
        rule: the parameters.

    0 where everything is resident, or where no machine is better (waiting for one would be vain).

    >>> ready_after_ms(anchors=[("sdxl", 6_000_000_000)], held={}, bytes_per_s=1e9, unfinished=0, better=2, rule=PatienceRule())
    6000
    """
    if all(held.get(name) == "resident" for name, _ in anchors):
        return 0
    cost_ms = start_cost_ms(missing_bytes(anchors, held), bytes_per_s=bytes_per_s, rule=rule)
    return patience_ms(cost_ms, unfinished=unfinished, better=better)


def start_cost_ms(lacking_bytes: int, *, bytes_per_s: float, rule: PatienceRule) -> float:
    """Milliseconds until a machine that lacks so many bytes could start; with 0 it only loads from its disk. Never above the cap."""
    if not lacking_bytes:
        return min(float(rule.load_ms), rule.cap_ms)
    return min(1_000 * lacking_bytes / (bytes_per_s or ASSUMED_BYTES_PER_S), rule.cap_ms)


def patience_ms(cost_ms: float, *, unfinished: int, better: int) -> int:
    """Milliseconds to leave a lane's jobs to the `better` machines before paying `cost_ms`; 0 where there are none."""
    # Each job that the better machines are asked for already makes the own fetch more worthwhile.
    return int(cost_ms / (1 + unfinished / better)) if better else 0
