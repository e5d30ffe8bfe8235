"""How long a lane's job must have waited before a machine that lacks its models may take it (delay scheduling).

Zaharia et al., "Delay Scheduling" (EuroSys 2010): waiting a little for a machine that holds the data beats moving the data.
Here the patience follows from what *this* machine would have to fetch over its link, or to load, less what a faster GPU makes up for,
against how long the job would wait for a holder, counting those that wait for it already (residency is not occupancy): half of
that, as far as the cap allows, while the holders are free sooner, and none once they cannot keep up. Measured against the rule before it in `docs/decisions/0013-which-machine.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from northstar.policy.routing.links import ASSUMED_BYTES_PER_S, counted_rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: What a disk gives to a GPU, bytes per second: a 4.4 GB model in 2.8 s, as measured in a fleet of image machines.
LOAD_BYTES_PER_S = 1_600_000_000.0


class PatienceRule(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the rule."""

    #: The most that counts of a fetch, less what a faster GPU makes up for, ms, however large the model.
    cap_ms: int = 30_000
    #: The part of that for which a job is left to machines that have what this one lacks.
    share: float = 0.5


class First(NamedTuple):
    """Of the better machines whose GPUs have this pace, the one that could begin first: ms until its models are there, and are loaded."""

    pace: float = 1.0
    left_ms: float = 0.0
    load_ms: float = 0.0


class Better(msgspec.Struct, frozen=True):
    """Machines that could start a lane's jobs sooner, because they lack less: how many, their slots, and how many of these are used.

    `firsts` are those of them that could have a job done first, depending on how long it runs: the fastest first, slower ones only
    where they can begin sooner.
    """

    machines: int = 0
    slots: int = 0
    used: int = 0
    firsts: tuple[First, ...] = (First(),)

    @property
    def pace(self) -> float:
        """Of the fastest of their GPUs (`gpu_pace`)."""
        return self.firsts[0].pace

    @property
    def left_ms(self) -> float:
        """Until the first of them has everything that is on its way to it; 0 where one has."""
        return min(one.left_ms for one in self.firsts)


def firsts_of(found: Iterable[First]) -> tuple[First, ...]:
    """Those that no other one beats whatever the run; `Better`'s default where there is none.

    >>> firsts_of([First(1.0, 0.0), First(2.0, 0.0), First(0.5, 3_000.0)])
    (First(pace=0.5, left_ms=3000.0, load_ms=0.0), First(pace=1.0, left_ms=0.0, load_ms=0.0))
    """
    kept: list[First] = []
    for one in sorted(found):
        if not kept or one.left_ms + one.load_ms < kept[-1].left_ms + kept[-1].load_ms:
            kept.append(one)
    return tuple(kept) or (First(),)


class Lacking(NamedTuple):
    """What a machine lacks of a lane's models: whether it must wait for any, ms until what is on its way is there, and bytes.

    `missing` bytes nobody brings yet, and `unloaded` ones, among them these, are not in memory.
    """

    absent: bool
    left_ms: float
    missing: int
    unloaded: int

    def patience_cost_ms(self, bytes_per_s: float) -> float:
        """What the patience follows from: the fetch over a link measured so fast (0: not measured), or the load where nothing is missing.

        >>> Lacking(absent=True, left_ms=0.0, missing=6_000_000_000, unloaded=6_000_000_000).patience_cost_ms(1e9)
        6000.0
        """
        return (
            self.left_ms + fetch_ms(self.missing, counted_rate(bytes_per_s)) if self.absent else load_ms(self.unloaded)
        )

    def start_ms(self, bytes_per_s: float) -> float:
        """Until a machine with a slot free could start: fetch and load, by the same steps of links as `machine_choice.completion`."""
        return self.left_ms + fetch_ms(self.missing, counted_rate(bytes_per_s)) + load_ms(self.unloaded)


def lacking_of(
    anchors: Sequence[tuple[str, int]],
    *,
    held: Mapping[str, str],
    fetching: Mapping[str, int],
    now_ms: int,
    may_have: bool = False,
) -> Lacking:
    """What a machine lacks of models given as (name, bytes).

    Args:
        anchors: the lane's anchor models.
        held: models on the machine: name -> 'resident' or 'disk'.
        fetching: models on their way to it: name -> expected end, ms; only what is left counts.
        now_ms: the time of what is known.
        may_have: nothing is fetched, since the machine's engine may have the others itself (`model_supply`): it must load them.
    """
    absent, left_ms, missing, unloaded = False, 0.0, 0, 0
    for name, size_bytes in anchors:
        state = held.get(name)
        if state == "resident":
            continue
        unloaded += size_bytes
        if state is None and name in fetching:
            absent = True
            left_ms = max(left_ms, fetching[name] - now_ms)
        elif state is None and not may_have:
            absent = True
            missing += size_bytes
    return Lacking(absent, left_ms, missing, unloaded)


def fetch_ms(missing_bytes: int, bytes_per_s: float) -> float:
    """Milliseconds that a fetch of so many bytes takes over a link."""
    return 1_000 * missing_bytes / (bytes_per_s or ASSUMED_BYTES_PER_S)


def load_ms(unloaded_bytes: int) -> float:
    """Milliseconds that it takes to bring so many bytes from a disk into a GPU's memory."""
    return 1_000 * unloaded_bytes / LOAD_BYTES_PER_S


def queue_s(waiting: int, better: Better, *, run_s: float) -> float:
    """Seconds until a slot of the better machines is free for the last of `waiting` jobs, each run taking `run_s`.

    Whitt, "Predicting Queueing Delays" (Management Science 45, 1999): one departure for each job that finds no free slot.

    >>> queue_s(1, Better(machines=1, slots=2, used=2), run_s=20.0), queue_s(1, Better(machines=1, slots=2, used=1), run_s=20.0)
    (10.0, 0.0)
    """
    departures = max(0, waiting + better.used - better.slots)
    return departures * run_s * better.pace / better.slots if better.slots else 0.0


def patience_ms(
    cost_ms: float,
    *,
    waiting: int,
    better: Better,
    run_s: float,
    rule: PatienceRule,
    pace: float = 1.0,
    loads_ms: float = 0.0,
) -> int:
    """Milliseconds to leave a lane's jobs to the better machines before paying `cost_ms`; 0 where there are none: waiting would be vain.

    >>> patience_ms(6_000, waiting=1, better=Better(machines=1, slots=1), run_s=20.0, rule=PatienceRule())
    3000
    """
    if not better.slots:
        return 0
    queue_ms = 1_000 * queue_s(waiting, better, run_s=run_s)
    return left_to_ms(cost_ms, queue_ms, better.firsts, run_ms=1_000 * run_s, rule=rule, pace=pace, loads_ms=loads_ms)


def left_to_ms(
    cost_ms: float,
    queue_ms: float,
    firsts: Sequence[First],
    *,
    run_ms: float,
    rule: PatienceRule,
    pace: float,
    loads_ms: float,
) -> int:
    """The same, by what of it does not depend on the machine: how long the better ones are busy, and when each could begin.

    From the cost is taken what a faster GPU makes up for, beside the better machine that has the job done first, and what that one must
    load more than this one (`loads_ms`). It is taken from the whole cost, and the cap applies to what is left: a machine that has the
    job done first although it must fetch leaves it to nobody, and no other one is let off because its fetch is longer than the cap.
    Nothing is added for a slower GPU, so that no slot idles for the sake of a faster one. 0 where the better ones are free later than
    what counts.
    """
    ahead_ms, left_ms = _ahead_ms(firsts[0], run_ms, pace, loads_ms), firsts[0].left_ms
    for one in firsts[1:]:
        other_ms = _ahead_ms(one, run_ms, pace, loads_ms)
        if other_ms + one.left_ms < ahead_ms + left_ms:
            ahead_ms, left_ms = other_ms, one.left_ms
    later_ms = min(cost_ms - ahead_ms, rule.cap_ms)
    return 0 if queue_ms + left_ms >= later_ms else int(rule.share * later_ms)


def _ahead_ms(first: First, run_ms: float, pace: float, loads_ms: float) -> float:
    """By how much a machine of this pace gains on the other one once both have their models."""
    ahead_ms = run_ms * (first.pace - pace) if first.pace > pace else 0.0
    return ahead_ms + first.load_ms - loads_ms if first.load_ms > loads_ms else ahead_ms
