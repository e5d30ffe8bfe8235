"""How well durations are foretold, online and strictly causally: `python -m benchmarks durations --traces DIR`.

Evaluated are the last five service days (noon to noon). A run is known only from its submit plus its time on. On the recorded
trace the estimator's constants were chosen on service days 8 to 11 of 17 (counted from 0; days 5 to 7 were looked at too), before the evaluation begins; nothing was chosen on the
evaluated days. The untimed history is not used. The trace names no GPU class and its times include loading.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.contract import Options, Outcome
from benchmarks.duration_trace import FILE, Request, made_up_trace, read_trace
from northstar.evaluation.duration_replay import TOLERANCE, Score, foretell, score

#: On the recorded trace: share whose band is right with 25 % at the borders, and WAPE.
GOAL_BAND, GOAL_WAPE = 0.957, 0.24
#: Beyond: WAPE and share within 25 %.
AIM_WAPE, AIM_NEAR = 0.20, 0.68
#: Service days at the end of a trace on which every way is judged.
EVALUATED_DAYS = 5
_SEED = 20_250_826


def run(options: Options) -> Outcome:
    """Foretell every request of the trace; without a trace, of one that is made up."""
    named = os.environ.get("NORTHSTAR_TRACES")
    folder = options.traces or (Path(named) if named else None)
    if folder is None:
        trace = made_up_trace(seed=_SEED, a_day=100 if options.quick else 1_000)
        return _measure(trace, "made-up trace; its figures are no goal's", is_recorded=False)
    if not (folder / FILE).is_file():
        return Outcome(text="", figures={}, failures=(f"{folder} has no {FILE}: name the folder with --traces",))
    return _measure(read_trace(folder), f"{FILE}, recorded", is_recorded=True)


def _measure(trace: Sequence[Request], name: str, *, is_recorded: bool) -> Outcome:
    first_day = max(request.day for request in trace) - EVALUATED_DAYS + 1
    estimates, call_us = foretell(trace)
    evaluated = [number for number, request in enumerate(trace) if request.day >= first_day]
    actual = [trace[number].ran_s for number in evaluated]
    ways = {
        "global median": [value for value, _ in medians(trace, first_day)],
        "median by model": [value for _, value in medians(trace, first_day)],
        "online estimator": [estimates[number].p50_s for number in evaluated],
    }
    scores = {way: score(foretold, actual) for way, foretold in ways.items()}
    covered = _share(
        estimates[number].p10_s <= ran_s <= estimates[number].p90_s
        for number, ran_s in zip(evaluated, actual, strict=True)
    )
    around = _share(
        abs(ran_s - estimates[number].p50_s) <= TOLERANCE * estimates[number].p50_s
        for number, ran_s in zip(evaluated, actual, strict=True)
    )
    sure = statistics.fmean(estimates[number].confidence for number in evaluated)
    lines = [f"{name}: {len(actual):,} requests of the last {EVALUATED_DAYS} service days, {len(trace):,} in all"]
    lines += [_line(way, one) for way, one in scores.items()]
    lines += [
        f"80 % interval covers {covered:.3f}; stated confidence {sure:.3f}, true within 25 % of the estimate {around:.3f}",
        f"one estimate and one run learned: {call_us:.0f} µs",
    ]
    lines += _goals(scores["online estimator"]) if is_recorded else []
    figures: dict[str, Any] = {way: msgspec.to_builtins(one) for way, one in scores.items()}
    return Outcome(
        text="\n".join(lines), figures=figures | {"coverage": covered, "confidence": sure, "call_us": call_us}
    )


def medians(trace: Sequence[Request], first_day: int) -> list[tuple[float, float]]:
    """For each evaluated request the median of all, and of its model, by what had finished when its day began."""
    found: list[tuple[float, float]] = []
    for day in range(first_day, first_day + EVALUATED_DAYS):
        begins_s = day * 86_400.0 + 43_200.0
        known = [request for request in trace if request.at_s + request.ran_s <= begins_s]
        by_model: dict[str, list[float]] = {}
        for request in known:
            by_model.setdefault(request.model, []).append(request.ran_s)
        overall = statistics.median(request.ran_s for request in known)
        models = {model: statistics.median(times) for model, times in by_model.items()}
        found += [(overall, models.get(request.model, overall)) for request in trace if request.day == day]
    return found


def _share(truths: Any) -> float:
    return statistics.fmean(map(float, truths))


def _line(way: str, one: Score) -> str:
    return (
        f"{way}: band {one.band:.3f} strict, {one.band_tolerant:.3f} with 25 % at the borders; "
        f"WAPE {one.wape:.3f}; within 25 % {one.near:.3f}; MdAPE {one.mdape:.3f}"
    )


def _goals(one: Score) -> list[str]:
    held = one.band_tolerant >= GOAL_BAND and one.wape <= GOAL_WAPE
    beyond = one.wape <= AIM_WAPE and one.near >= AIM_NEAR
    return [
        f"{'goal held' if held else 'GOAL MISSED'}: band with tolerance >= {GOAL_BAND}, WAPE <= {GOAL_WAPE}",
        f"{'aim reached' if beyond else 'aim not reached'}: WAPE <= {AIM_WAPE}, within 25 % >= {AIM_NEAR}",
    ]
