"""How long a lane's job must have waited before a machine that lacks its models may take it (delay scheduling).

Zaharia et al., "Delay Scheduling" (EuroSys 2010): waiting a little for a machine that holds the data beats moving the data.
Here the patience follows from what *this* machine would have to fetch over its link, or to load, against how long the job would wait
for a holder, counting those that wait for it already (residency is not occupancy): half of the own fetch while the holders are
free sooner than that fetch takes, and none once they cannot keep up. Measured against the rule before it in
`docs/decisions/0013-which-machine.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Used while a machine's link is not measured: 50 MB/s, a common consumer line.
ASSUMED_BYTES_PER_S = 50_000_000.0
#: The fastest link that is believed, 10 Gbit/s: a machine says itself how fast its link is, and nobody shall come first by a boast.
BELIEVED_BYTES_PER_S = 1_250_000_000.0
#: What a disk gives to a GPU, bytes per second: a 4.4 GB model in 2.8 s, as measured in a fleet of image machines.
LOAD_BYTES_PER_S = 1_600_000_000.0


class PatienceRule(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the rule."""

    #: The longest fetch that counts, ms, however large the model.
    cap_ms: int = 30_000
    #: The part of the own fetch, or load, for which a job is left to machines that have what this one lacks.
    share: float = 0.5


class Better(msgspec.Struct, frozen=True):
    """Machines that could start a lane's jobs sooner, because they lack less: how many, their slots, and how many of these are used.

    `left_ms` passes until the first of them has everything that is on its way to it; 0 where one has.
    """

    machines: int = 0
    slots: int = 0
    used: int = 0
    left_ms: float = 0.0
    #: Of the fastest of their GPUs (`gpu_pace`).
    pace: float = 1.0


def start_cost_ms(
    anchors: Sequence[tuple[str, int]],
    *,
    held: Mapping[str, str],
    bytes_per_s: float,
    fetching: Mapping[str, int],
    now_ms: int,
    rule: PatienceRule,
) -> float:
    """Milliseconds of fetching, or of loading where nothing is missing, until a machine could start. Never above the cap.

    Args:
        anchors: the lane's anchor models as (name, bytes).
        held: models on the machine: name -> 'resident' or 'disk'.
        bytes_per_s: its measured download rate; 0 is unknown.
        fetching: models on their way to it: name -> expected end, ms; only what is left counts.
        now_ms: the time of what is known.
        rule: the parameters.

    >>> start_cost_ms([("sdxl", 6_000_000_000)], held={}, bytes_per_s=1e9, fetching={}, now_ms=0, rule=PatienceRule())
    6000.0
    """
    absent = [(name, size_bytes) for name, size_bytes in anchors if name not in held]
    if not absent:
        return min(load_ms(sum(size for name, size in anchors if held[name] != "resident")), rule.cap_ms)
    lacking = sum(size_bytes for name, size_bytes in absent if name not in fetching)
    left_ms = max((fetching[name] - now_ms for name, _ in absent if name in fetching), default=0)
    return min(max(0, left_ms) + fetch_ms(lacking, bytes_per_s), rule.cap_ms)


def fetch_ms(lacking_bytes: int, bytes_per_s: float) -> float:
    """Milliseconds that a fetch of so many bytes takes over a link."""
    return 1_000 * lacking_bytes / (bytes_per_s or ASSUMED_BYTES_PER_S)


def load_ms(unloaded_bytes: int) -> float:
    """Milliseconds that it takes to bring so many bytes from a disk into a GPU's memory."""
    return 1_000 * unloaded_bytes / LOAD_BYTES_PER_S


def holders_wait_s(waiting: int, better: Better, *, run_s: float) -> float:
    """Seconds until the better machines have a slot free for the last of `waiting` jobs, each run taking `run_s`.

    Whitt, "Predicting Queueing Delays" (Management Science 45, 1999): one departure for each job that finds no free slot.

    >>> holders_wait_s(1, Better(machines=1, slots=2, used=2), run_s=20.0), holders_wait_s(1, Better(machines=1, slots=2, used=1), run_s=20.0)
    (10.0, 0.0)
    """
    departures = max(0, waiting + better.used - better.slots)
    return better.left_ms / 1_000 + (departures * run_s * better.pace / better.slots if better.slots else 0.0)


def head_start_ms(better: Better, *, run_s: float, pace: float) -> float:
    """Milliseconds by which a machine of this pace has a run done sooner than the fastest of the better ones; 0 where it has not.

    >>> head_start_ms(Better(machines=1, slots=1, pace=2.0), run_s=20.0, pace=0.5)
    30000.0
    """
    return 1_000 * run_s * max(0.0, better.pace - pace)


def patience_ms(
    cost_ms: float, *, waiting: int, better: Better, run_s: float, rule: PatienceRule, pace: float = 1.0
) -> int:
    """Milliseconds to leave a lane's jobs to the better machines before paying `cost_ms`.

    0 where there are none (waiting would be vain), and where they are free later than this machine could start. What a faster GPU
    makes up for counts for nothing: a machine that has the job done first although it must fetch leaves it to nobody.

    >>> patience_ms(6_000, waiting=1, better=Better(machines=1, slots=1), run_s=20.0, rule=PatienceRule())
    3000
    """
    cost_ms -= head_start_ms(better, run_s=run_s, pace=pace)
    if not better.slots or holders_wait_s(waiting, better, run_s=run_s) * 1_000 >= cost_ms:
        return 0
    return int(rule.share * cost_ms)
