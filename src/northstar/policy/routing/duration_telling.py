"""Making the summary of what an estimator remembers, a little at a time, and remembering what a summary says."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from northstar.policy.routing.duration_levels import Seen
from northstar.policy.routing.duration_memory import Memory
from northstar.policy.routing.duration_spread import Spread, Spreads
from northstar.policy.routing.duration_summary import MOST_RATIOS, Errors, Learned, Said, said

if TYPE_CHECKING:
    from collections.abc import Generator

    from northstar.policy.routing.duration_levels import LevelKey

#: Which levels a summary names first: those that most jobs share; then those of users.
_SHARED: Final[dict[str, int]] = {"service": 0, "model": 0, "service-work": 1, "model-work": 1, "shape": 1}
_OF_A_USER: Final = 2
#: What is done at once, each about a millisecond: keys looked at, and keys (each of up to eight GPU classes) or ratios told.
LOOKED_AT: Final = 1_000
TOLD: Final = 50


def telling(memory: Memory, *, most_keys: int) -> Generator[None, None, Learned]:
    """Make the summary, pausing after each millisecond or so of work: at most so many keys, those that most jobs share before those of users.

    Of these the latest. Nothing may be learned until it is made; estimates can be asked for.

    Raises:
        RuntimeError: something was learned while the keys were looked at.
    """
    latest_first = reversed(memory.keys)  # a copy of all keys would take tens of milliseconds itself
    by_rank: tuple[list[LevelKey], list[LevelKey], list[LevelKey]] = ([], [], [])
    while some := list(islice(latest_first, LOOKED_AT)):
        for key in some:
            by_rank[_SHARED.get(key[0], _OF_A_USER)].append(key)
        yield
    wanted = [key for keys in by_rank for key in keys[:most_keys]][:most_keys]
    told: list[tuple[LevelKey, dict[str, Said]]] = []
    for start in range(0, len(wanted), TOLD):
        told += (
            (key, {name: _said(seen) for name, seen in memory.keys[key].items()})
            for key in wanted[start : start + TOLD]
        )
        yield
    ratios: list[tuple[str, str, Said]] = []
    latest = list(memory.ratios.items())[-MOST_RATIOS:]
    for start in range(0, len(latest), TOLD):
        ratios += ((one, two, _said(seen)) for (one, two), seen in latest[start : start + TOLD])
        yield
    errors = {
        source: Errors(known.said.low, known.said.high, known.said.near, known.said.runs)
        for source, known in memory.spreads.items()
    }
    return Learned(keys=tuple(told), ratios=tuple(ratios), errors=errors)


def remembered(learned: Learned, *, max_keys: int) -> Memory:
    """What a summary says, as far as it goes."""
    memory = Memory(max_keys=max_keys)
    for key, classes in reversed(learned.keys):
        memory.keys[key] = {name: Seen.of_crowd(one) for name, one in classes.items()}
    for one, two, ratio in learned.ratios:
        memory.ratios[one, two] = Seen.of_crowd(ratio)
    for source, errors in learned.errors.items():
        memory.spreads[source] = Spreads(
            said=Spread(low=errors.low, high=errors.high, near=errors.near, runs=errors.runs)
        )
    return memory


def _said(seen: Seen) -> Said:
    seen.agreed()
    return said(seen.weight, seen.mean, seen.runs, seen.work_mean, seen.work_square, seen.work_product)
