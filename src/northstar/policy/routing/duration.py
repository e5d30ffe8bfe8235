"""How long work takes, learned online from finished runs.

Means of the logarithm of the time, each run weighing more than the one before it (exponentially weighted), are kept by key, from the
broad to the narrow: service, model, shape, and the user's runs of that shape; each level leans on the one above it until it has runs of
its own (shrinkage). Errors of each level are averaged the same way and give the quantiles.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.estimates import DurationEstimate, EstimateSource
from northstar.policy.routing.duration_rules import ruled_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.domain.estimates import FinishedRun
    from northstar.domain.workloads import Workload

#: Of a normal distribution: the tenth and ninetieth of a hundred lie so many standard deviations from the middle.
_Z90: Final = 1.2816
#: Spread of the logarithm of times about which nothing is known: nine of ten within a factor of about 13.
_UNKNOWN_SPREAD: Final = 2.0
_LONGEST_S: Final = 30 * 86_400.0


class _Level(msgspec.Struct, frozen=True):
    """How a level learns: the weight of a new run, and how many runs the level above counts for."""

    source: EstimateSource
    alpha: float
    lean: float


_LEVELS: Final = (
    _Level("features", 0.02, 0.0),
    _Level("model", 0.1, 3.0),
    _Level("shape", 0.15, 3.0),
    _Level("user", 0.35, 2.0),
)


class _Mean(msgspec.Struct):
    """A weighted mean of logarithms, the mean of its squared errors, and how many runs made it."""

    weight: float = 0.0
    mean: float = 0.0
    square: float = 0.0
    runs: int = 0


class DurationEstimator:
    """Learns from runs in the order in which they ended. The same runs always give the same estimates; keys are bounded."""

    def __init__(self, *, most_keys: int = 50_000) -> None:
        self._most_keys = most_keys
        self._means: OrderedDict[tuple[str, ...], _Mean] = OrderedDict()

    def learn(self, run: FinishedRun) -> None:
        """Take a finished run into account; a time that is none is passed over."""
        if not (math.isfinite(run.ran_s) and 0 < run.ran_s <= _LONGEST_S):
            return
        seen = math.log(run.ran_s)
        above: _Mean | None = None
        for level, key in _keys(run.service, run.model, run.shape, run.user, run.gpu_class):
            known = self._means.setdefault(key, _Mean())
            self._means.move_to_end(key)
            expected = _leaning(known, above, level)
            above = msgspec.structs.replace(known)
            if expected is not None:
                known.square += (min((seen - expected) ** 2, 9.0) - known.square) * max(
                    level.alpha, 1 / (known.runs + 1)
                )
            known.weight = known.weight * (1 - level.alpha) + 1
            known.mean += (seen - known.mean) / known.weight
            known.runs += 1
            above.mean = expected if expected is not None else known.mean
        while len(self._means) > self._most_keys:
            self._means.popitem(last=False)

    def estimate(
        self, workload: Workload, *, service: str, model: str, user: str, gpu_class: str, declared_s: float | None
    ) -> DurationEstimate:
        """Seconds on that class of GPU, by the narrowest of what is known."""
        middle, spread, source, runs = 0.0, _UNKNOWN_SPREAD, None, 0
        above: _Mean | None = None
        for level, key in _keys(service, model, workload.shape, user, gpu_class):
            known = self._means.get(key)
            if known is None:
                continue
            leaning = _leaning(known, above, level)
            middle = known.mean if leaning is None else leaning
            spread = math.sqrt(max(known.square, 0.01)) * (1 + 1 / known.runs)
            source, runs = level.source, known.runs
            above = msgspec.structs.replace(known, mean=middle)
        if source is None or (source == "features" and declared_s is not None):
            return _unlearned(workload, declared_s, gpu_class)
        return _made(math.exp(middle), spread, source, runs, gpu_class)


def _keys(service: str, model: str, shape: str, user: str, gpu_class: str) -> Iterator[tuple[_Level, tuple[str, ...]]]:
    service_level, model_level, shape_level, user_level = _LEVELS
    yield service_level, ("service", service, gpu_class)
    if model:
        yield model_level, ("model", service, model, gpu_class)
    if shape:
        yield shape_level, ("shape", service, model, shape, gpu_class)
        if user:
            yield user_level, ("user", service, model, shape, user, gpu_class)


def _leaning(known: _Mean, above: _Mean | None, level: _Level) -> float | None:
    """What the level expects: its own mean and that of the level above, by how many runs each has. None before the first run."""
    if above is None or not above.runs:
        return known.mean if known.runs else None
    weight = known.weight if known.runs else 0.0
    return (known.mean * weight + above.mean * level.lean) / (weight + level.lean)


def _unlearned(workload: Workload, declared_s: float | None, gpu_class: str) -> DurationEstimate:
    if declared_s is not None:
        return _made(declared_s, 0.5, "declared", 0, gpu_class)
    return _made(ruled_s(workload), 1.2, "rules", 0, gpu_class)


def _made(middle_s: float, spread: float, source: EstimateSource, runs: int, gpu_class: str) -> DurationEstimate:
    factor = math.exp(_Z90 * min(spread, 5.0))
    middle_s = min(middle_s, _LONGEST_S)
    return DurationEstimate(
        p10_s=round(middle_s / factor, 3),
        p50_s=round(middle_s, 3),
        p90_s=round(min(middle_s * factor, _LONGEST_S), 3),
        source=source,
        # The chance that a log-normal time lies within 25 % of its median.
        confidence=round(
            0.5 * (math.erf(0.2231 / (spread * math.sqrt(2))) + math.erf(0.2877 / (spread * math.sqrt(2)))), 3
        ),
        runs=runs,
        gpu_class=gpu_class,
    )
