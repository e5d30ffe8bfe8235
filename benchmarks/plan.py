"""How long policy plans the candidates of a whole cell: `python -m benchmarks plan`.

The worst ordinary case: every lane asks for models of its own, every machine holds other ones over a link of its own rate, so
nothing is shared but the method. A smaller cell is planned in the same process machine by machine too, for the ratio.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from benchmarks.contract import Options, Outcome
from benchmarks.measure import ProcessorWatch, Sample, interleaved, quietest, spread
from northstar.domain.machines import MachineProfile
from northstar.policy.routing.candidates import MAX_CANDIDATES, Choice, candidates
from northstar.policy.routing.plan import plan_candidates
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

#: Processor seconds for the large cell.
GOAL_S = 1.0
_LARGE, _SMALL = 1_000, 100
_CLASSES, _PROFILES = 20, 20
_HELD = 12
_GB = 1_000_000_000
_ATTEMPTS = 3
_RULE = PatienceRule()

Plan = dict[str, list[Choice]]


class Way(msgspec.Struct, frozen=True):
    """A cell of a size, planned in one way."""

    name: str
    size: int
    plan: Callable[[CellSnapshot], Plan]


def one_by_one(snapshot: CellSnapshot) -> Plan:
    """Each machine for itself."""
    return {name: candidates(machine, snapshot, _RULE) for name, machine in snapshot.machines.items()}


def at_once(snapshot: CellSnapshot) -> Plan:
    """As the dispatcher does it."""
    return plan_candidates(snapshot, _RULE)


def a_cell(size: int) -> CellSnapshot:
    """`size` machines and as many lanes with distinct anchors; every machine may take all of them."""
    rng = random.Random(size)
    models = [f"model-{number}" for number in range(size)]
    machines = {
        f"m{number}": MachineState(
            id=f"m{number}",
            profile=f"p{number % _PROFILES}",
            slots=4,
            used=number % 4,
            active=True,
            parked=False,
            download_bytes_per_s=rng.uniform(1e7, 1e9),
            held={name: rng.choice(["resident", "disk"]) for name in rng.sample(models, _HELD)},
        )
        for number in range(size)
    }
    lanes = {
        f"{number:06x}": LaneState(
            id=f"{number:06x}",
            key=str(number),
            requirement_class=f"c{number % _CLASSES}",
            anchors=((models[number], rng.randrange(_GB, 20 * _GB)), (rng.choice(models), 2 * _GB)),
            unfinished=rng.randrange(200),
            waits=number % 10 != 0,
            head=f"1{rng.randrange(256):02x}{rng.randrange(10**9):024x}",
        )
        for number in range(size)
    }
    profile = MachineProfile(pools=("standard",), services=("picture",))
    fits = {(f"p{profile}", f"c{class_}"): True for profile in range(_PROFILES) for class_ in range(_CLASSES)}
    return CellSnapshot(
        machines=machines, lanes=lanes, profiles={f"p{number}": profile for number in range(_PROFILES)}, fits=fits
    )


def run(options: Options) -> Outcome:
    """Plan both cells in rounds, and compare the answers of both ways where both are taken."""
    large = _SMALL * 3 if options.quick else _LARGE
    ways = [Way("at once", large, at_once), Way("at once", _SMALL, at_once), Way("one by one", _SMALL, one_by_one)]
    cells = {size: a_cell(size) for size in (large, _SMALL)}
    taken: dict[tuple[str, int], list[Sample[float]]] = {(way.name, way.size): [] for way in ways}
    for number, way in interleaved(ways, options.rounds):
        print(f"round {number + 1} of {options.rounds}: {way.name}, {way.size:,}", file=sys.stderr, flush=True)
        taken[way.name, way.size].append(quietest(partial(_sample, way, cells[way.size]), attempts=_ATTEMPTS))
    full = min(len(found) for found in at_once(cells[large]).values()) == MAX_CANDIDATES
    alike = at_once(cells[_SMALL]) == one_by_one(cells[_SMALL])
    return _outcome(taken, large=large, full=full, alike=alike)


def _sample(way: Way, snapshot: CellSnapshot) -> Sample[float]:
    watch, before_s = ProcessorWatch(), time.process_time()
    way.plan(snapshot)
    return Sample(value=time.process_time() - before_s, others_cores=watch.read().others_cores)


def _outcome(taken: dict[tuple[str, int], list[Sample[float]]], *, large: int, full: bool, alike: bool) -> Outcome:
    spreads = {key: spread(sample.value for sample in samples) for key, samples in taken.items()}
    lines = [
        f"{name}, {size:,} machines x {size:,} lanes: {one.median:.3f} s of processor time ({one.low:.3f}-{one.high:.3f})"
        + ("" if all(sample.quiet for sample in taken[name, size]) else ", others used the machine meanwhile")
        for (name, size), one in spreads.items()
    ]
    ratio = spreads["one by one", _SMALL].median / spreads["at once", _SMALL].median
    lines.append(f"{_SMALL} x {_SMALL}: at once takes 1/{ratio:.1f} of the time of one by one")
    median_s = spreads["at once", large].median
    lines.append(f"{'goal held' if median_s <= GOAL_S else 'GOAL MISSED'}: {median_s:.3f} s; goal {GOAL_S} s")
    failures = [] if full else ["a machine of the large cell has fewer candidates than it may have"]
    failures += [] if alike else ["both ways give different candidates"]
    figures: dict[str, Any] = {f"{name}, {size}": msgspec.to_builtins(one) for (name, size), one in spreads.items()}
    return Outcome(text="\n".join(lines), figures=figures | {"ratio": ratio}, failures=tuple(failures))
