"""Figures of a workload of pictures, worked out alike for generated jobs and for those of a trace."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.workload.service_days import DAY_MS

#: After so long a pause somebody sits down anew.
SITTING_MS = 1_800_000


def model_of(job: SimulatedJob) -> str:
    return next(need.name for need in job.request.requires.models if need.kind == "checkpoint")


def loras_of(job: SimulatedJob) -> tuple[str, ...]:
    return tuple(need.name for need in job.request.requires.models if need.kind == "lora")


def figures(jobs: Sequence[SimulatedJob], *, settled: int) -> dict[str, float]:
    """By name. `settled` is the first day from which on first-ever adapters are counted."""
    by_user: dict[str, list[SimulatedJob]] = defaultdict(list)
    for job in jobs:
        by_user[job.request.user].append(job)
    return {
        **_of_users(by_user),
        **_of_choices(by_user),
        **_of_models(jobs),
        **_of_loras(jobs, settled),
        **_of_seconds(jobs),
        "in the evening": sum(8 <= job.at_ms % DAY_MS // 3_600_000 <= 12 for job in jobs) / len(jobs),
    }


def _of_users(by_user: dict[str, list[SimulatedJob]]) -> dict[str, float]:
    counts = sorted(map(len, by_user.values()), reverse=True)
    sittings: list[list[SimulatedJob]] = []
    for jobs in by_user.values():
        sittings.append([jobs[0]])
        for before, job in pairwise(jobs):
            if job.at_ms - before.at_ms > SITTING_MS:
                sittings.append([])
            sittings[-1].append(job)
    sizes = sorted(map(len, sittings))
    return {
        "requests of a user": sum(counts) / len(counts),
        "share of the top tenth of users": sum(counts[: len(counts) // 10]) / sum(counts),
        "requests of a sitting": sum(sizes) / len(sizes),
        "sittings of one request": sum(size == 1 for size in sizes) / len(sizes),
        "long sitting (99 %)": sizes[int(0.99 * len(sizes))],
        "sittings with several models": sum(len(set(map(model_of, one))) > 1 for one in sittings) / len(sittings),
    }


def _of_choices(by_user: dict[str, list[SimulatedJob]]) -> dict[str, float]:
    same: Counter[str] = Counter()
    pairs = switches = back = 0
    for jobs in by_user.values():
        had: set[str] = set()
        for before, job in pairwise(jobs):
            had.add(model_of(before))
            pairs += 1
            same["model"] += model_of(before) == model_of(job)
            same["steps"] += before.request.payload.get("steps") == job.request.payload.get("steps")
            same["pictures"] += before.request.payload.get("count") == job.request.payload.get("count")
            if model_of(before) != model_of(job):
                switches += 1
                back += model_of(job) in had
    return {**{f"same {name}": count / pairs for name, count in same.items()}, "switches back": back / switches}


def _of_models(jobs: Sequence[SimulatedJob]) -> dict[str, float]:
    counts = [count for _, count in Counter(map(model_of, jobs)).most_common()]
    return {f"top {top} models": sum(counts[:top]) / len(jobs) for top in (1, 3, 5, 10, 20)}


def _of_loras(jobs: Sequence[SimulatedJob], settled: int) -> dict[str, float]:
    seen: set[str] = set()
    today: set[str] = set()
    day = first_ever = uses = 0
    for job in jobs:
        if job.at_ms // DAY_MS != day:
            seen, today, day = seen | today, set(), job.at_ms // DAY_MS
        for lora in loras_of(job):
            today.add(lora)
            if day >= settled:
                uses += 1
                first_ever += lora not in seen
    return {
        "with adapters": sum(bool(loras_of(job)) for job in jobs) / len(jobs),
        "first-ever adapters": first_ever / uses,
    }


def _of_seconds(jobs: Sequence[SimulatedJob]) -> dict[str, float]:
    run_s = sorted(next(iter(job.run_s.values())) for job in jobs if not job.fails)
    logs = [math.log(one) for one in run_s if one > 0]
    mean = sum(logs) / len(logs)
    return {
        "median seconds": run_s[len(run_s) // 2],
        "95 % seconds": run_s[int(0.95 * len(run_s))],
        "below 30 s": sum(one < 30 for one in run_s) / len(run_s),
        "deviation of log seconds": math.sqrt(sum((one - mean) ** 2 for one in logs) / len(logs)),
        "fails": sum(job.fails for job in jobs) / len(jobs),
    }
