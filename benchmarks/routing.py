"""How many jobs a second policy finds machines for: `python -m benchmarks routing`.

A decision is the machine that has the job done first, out of an index of the fleet that is up to date, in a fleet with a mix of
GPUs, links, pools and loads, where a few models are on many machines and most on few. What the index itself costs is told apart:
all of it anew, and anew after the fit of classes is known. Some of the choices are compared with looking at every machine.
"""

from __future__ import annotations

import random
import sys
import time
from functools import partial
from typing import Any

import msgspec

from benchmarks.contract import Options, Outcome
from benchmarks.measure import ProcessorWatch, Sample, interleaved, quietest, spread
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.requirements import RequirementClass
from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.machine_choice import JobNeed, expected_completion
from northstar.policy.routing.snapshot import CellSnapshot, MachineState

#: Decisions a second of processor time in the small fleet.
GOAL = 5_000
_SMALL, _LARGE = 500, 10_000
_MODELS, _HELD = 400, 10
_JOBS = 2_000
_COMPARED = 40
_ATTEMPTS = 3
_GB = 1_000_000_000
_POOLS = ("lightning", "fast-lane", "standard", "standard-art", "standard-photography", "heavy", "research")
_GPUS = (
    ("NVIDIA L4", 24_000),
    ("NVIDIA GeForce RTX 4090", 24_000),
    ("NVIDIA A100-SXM4-80GB", 80_000),
    ("NVIDIA H100 PCIe", 80_000),
)
_RUN_S = {"l4": 60.0, "rtx-4090": 25.0, "a100": 20.0, "h100": 11.0}


class Fleet(msgspec.Struct, frozen=True):
    """A fleet, and jobs for it."""

    snapshot: CellSnapshot
    jobs: list[JobNeed]


def a_fleet(size: int) -> Fleet:
    """`size` machines of 28 profiles: two thirds busy, each with ten models, the popular ones on many."""
    rng = random.Random(size)
    models = [(f"model-{number}", rng.randrange(_GB, 20 * _GB)) for number in range(_MODELS)]
    # Zipf's law: the n-th model is wanted 1/n as often as the first.
    weights = [1 / (number + 1) for number in range(_MODELS)]
    profiles = {
        f"{pool}-{vram}-{number}": MachineProfile(pools=(pool,), services=("picture",), vram_mb=vram)
        for pool in _POOLS
        for number, (_, vram) in enumerate(_GPUS)
    }
    names = list(profiles)
    machines = {}
    for number in range(size):
        profile = rng.choice(names)
        slots, vram_mb = rng.choice((1, 1, 2, 4)), profiles[profile].vram_mb
        used = min(slots, rng.choice((0, 1, 2, 4)))
        held = {name: rng.choice(("disk", "disk", "resident")) for name, _ in rng.choices(models, weights, k=_HELD)}
        machines[f"m{number}"] = MachineState(
            id=f"m{number}",
            profile=profile,
            slots=slots,
            used=used,
            active=number % 50 != 0,
            parked=used < slots,
            download_bytes_per_s=rng.uniform(1e7, 1.2e9),
            held=held,
            fetching={rng.choice(models)[0]: 20_000} if number % 20 == 0 else {},
            vram_free_mb=vram_mb - used * vram_mb // (slots + 1),
            work_ahead_s=used * rng.uniform(2.0, 60.0),
            description=MachineDescription(gpu=_GPUS[int(profile[-1])][0]),
        )
    snapshot = CellSnapshot(machines=machines, profiles=profiles, now_ms=10_000)
    return Fleet(snapshot, [_a_job(rng, models, weights) for _ in range(_JOBS)])


def _a_job(rng: random.Random, models: list[tuple[str, int]], weights: list[float]) -> JobNeed:
    base = rng.choices(models, weights, k=rng.choice((1, 1, 2, 3)))
    adapters = [
        (f"lora-{rng.randrange(10_000)}", rng.randrange(_GB // 50, _GB // 5)) for _ in range(rng.choice((0, 0, 1)))
    ]
    wanted = RequirementClass(
        pool=rng.choice((*_POOLS, "uniform")),
        service="picture",
        vram_mb=rng.choice((0, 12_000, 20_000, 24_000, 48_000)),
        node_packs=(),
        tags=(),
        isolation=None,
    )
    return JobNeed(wanted=wanted, models=(*base, *adapters), run_s=_RUN_S, run_elsewhere_s=60.0)


class Figures(msgspec.Struct, frozen=True):
    """One look at a fleet, in seconds of processor time."""

    a_decision_s: float
    index_s: float
    index_again_s: float


def measured(fleet: Fleet) -> Figures:
    """Make the index, decide for all jobs, and make the index again as after a change of the fleet."""
    began = time.process_time()
    index = FleetIndex(fleet.snapshot)
    for job in fleet.jobs:
        index.order(job.wanted.vram_mb)
    made = time.process_time()
    for job in fleet.jobs:  # once to know which profiles fit, which is asked again only when profiles change
        index.fitting(job.wanted)
    ready = time.process_time()
    for job in fleet.jobs:
        index.best(job)
    decided = time.process_time()
    again = FleetIndex(fleet.snapshot, index)
    for job in fleet.jobs:
        again.order(job.wanted.vram_mb)
    ended = time.process_time()
    return Figures((decided - ready) / len(fleet.jobs), made - began, ended - decided)


def wrong_choices(fleet: Fleet) -> int:
    """Of some jobs, for how many another machine would have been sooner."""
    index, snapshot = FleetIndex(fleet.snapshot), fleet.snapshot
    wrong = 0
    for job in fleet.jobs[:_COMPARED]:
        fitting = {name for name, profile in snapshot.profiles.items() if decide_fit(profile, job.wanted).fits}
        times_s = [
            expected_completion(machine, job, now_ms=snapshot.now_ms).total_s
            for machine in snapshot.machines.values()
            if machine.active and machine.profile in fitting
        ]
        best = index.best(job)
        wrong += (best.total_s if best is not None else None) != min(times_s, default=None)
    return wrong


def run(options: Options) -> Outcome:
    """Both fleets in rounds."""
    sizes = (_SMALL, _SMALL * 4) if options.quick else (_SMALL, _LARGE)
    fleets = {size: a_fleet(size) for size in sizes}
    taken: dict[int, list[Sample[Figures]]] = {size: [] for size in sizes}
    for number, size in interleaved(list(sizes), options.rounds):
        print(f"round {number + 1} of {options.rounds}: {size:,} machines", file=sys.stderr, flush=True)
        taken[size].append(quietest(partial(_sample, fleets[size]), attempts=_ATTEMPTS))
    return _outcome(taken, wrong=sum(wrong_choices(fleet) for fleet in fleets.values()))


def _sample(fleet: Fleet) -> Sample[Figures]:
    watch = ProcessorWatch()
    return Sample(value=measured(fleet), others_cores=watch.read().others_cores)


def _outcome(taken: dict[int, list[Sample[Figures]]], *, wrong: int) -> Outcome:
    lines, figures = [], dict[str, Any]()
    medians_s: dict[int, float] = {}
    for size, samples in taken.items():
        each = spread(1 / sample.value.a_decision_s for sample in samples)
        index = spread(sample.value.index_s for sample in samples)
        again = spread(sample.value.index_again_s for sample in samples)
        medians_s[size] = 1 / each.median
        noise = "" if all(sample.quiet for sample in samples) else ", others used the machine meanwhile"
        lines += [
            f"{size:,} machines: {each.median:,.0f} decisions a second of processor time ({each.low:,.0f}-{each.high:,.0f}){noise}",
            f"{size:,} machines: the index takes {1_000 * index.median:.1f} ms, for a changed fleet {1_000 * again.median:.1f} ms",
        ]
        figures[str(size)] = msgspec.to_builtins({"decisions_per_s": each, "index_s": index, "index_again_s": again})
    small, large = min(medians_s), max(medians_s)
    grows, fleet = medians_s[large] / medians_s[small], large / small
    lines.append(f"a fleet {fleet:.0f} times as large makes a decision {grows:.1f} times as long")
    held = medians_s[small] <= 1 / GOAL
    lines.append(
        f"{'goal held' if held else 'GOAL MISSED'}: {1 / medians_s[small]:,.0f} a second at {small:,}; goal {GOAL:,}"
    )
    failures = [f"{wrong} choices are not the best"] if wrong else []
    failures += ["the cost of a decision grows as fast as the fleet"] if grows >= fleet else []
    return Outcome(text="\n".join(lines), figures=figures | {"grows": grows}, failures=tuple(failures))
