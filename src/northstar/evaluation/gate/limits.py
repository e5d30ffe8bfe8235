"""Limits: what runs of the gate came to when they were measured, and how far a run may lie from that.

**The rule.** A figure's limits are its mean, less and plus three and a half standard deviations of its runs times √(1 + 1/runs), since one more run is compared
with the mean of `runs` of them; never nearer than the lowest and the highest of the runs, and never beyond what the figure can be. With 20 runs a figure that changes by chance alone leaves such
limits in about one of four hundred changes (Student's t with 19 degrees of freedom). A figure that was the same in all runs has to stay the same.
They are worked out from the runs and from nothing else: a file whose limits do not follow from its own runs is refused.
"""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from northstar.evaluation.gate.errors import GateLimitsUnreadable, GateTooFewRuns
from northstar.evaluation.gate.figures import figure_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: Fewest seeds of which a spread may be told.
FEWEST_RUNS: Final = 5
#: Standard deviations.
REACH: Final = 3.5
RULE: Final = (
    "limits are the mean ± 3.5 sd × √(1 + 1/runs), never nearer than lowest and highest; they follow from `values` alone: "
    "set new ones by measuring again, with `northstar gate --measure --write FILE`, never by hand"
)
_MOST_BYTES: Final = 4_000_000
_Values = Annotated[tuple[float, ...], msgspec.Meta(min_length=FEWEST_RUNS, max_length=1_000)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a figure. `least` and `most` are the limits themselves."""

    least: float
    most: float
    mean: float
    sd: float
    lowest: float
    highest: float
    runs: int
    #: One for each seed, in the order of the scenario's seeds.
    values: _Values

    def hold(self, value: float) -> bool:
        """Whether the value lies within them."""
        return self.least <= value <= self.most


class ScenarioLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of all figures of a scenario."""

    #: Of what was simulated: a scenario that says something else has no limits.
    digest: str
    seeds: Annotated[tuple[int, ...], msgspec.Meta(min_length=FEWEST_RUNS, max_length=1_000)]
    #: The seed that the gate runs: the one whose figures lie nearest to the means.
    gate_seed: int
    figures: dict[str, Limits]


class GateLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of limits."""

    rule: str = RULE
    #: The version of North Star that was measured.
    northstar: str
    scenarios: dict[str, ScenarioLimits]


def limits_of(values: Sequence[float], *, is_share: bool = False) -> Limits:
    """The limits that follow from runs, of a figure that is never negative; a share is never above 1 either. Raises GateTooFewRuns.

    >>> found = limits_of([10.0, 11.0, 12.0, 11.0, 11.0])
    >>> found.mean, round(found.sd, 3), round(found.least, 2), round(found.most, 2)
    (11.0, 0.707, 8.29, 13.71)
    >>> limits_of([0.0] * 5).most
    0.0
    """
    if len(values) < FEWEST_RUNS:
        raise GateTooFewRuns(len(values), FEWEST_RUNS)
    lowest, highest = min(values), max(values)
    mean, sd = (fmean(values), stdev(values)) if lowest < highest else (lowest, 0.0)
    reach = REACH * sd * math.sqrt(1 + 1 / len(values))
    return Limits(
        least=min(lowest, max(0.0, _rounded(mean - reach))) if sd else lowest,
        most=max(highest, min(1.0 if is_share else math.inf, _rounded(mean + reach))) if sd else highest,
        mean=_rounded(mean),
        sd=_rounded(sd),
        lowest=lowest,
        highest=highest,
        runs=len(values),
        values=tuple(values),
    )


def scenario_limits(digest: str, found: Mapping[int, Mapping[str, float]]) -> ScenarioLimits:
    """The limits of a scenario from the figures of its runs, by seed. A figure that a run lacks has none. Raises GateTooFewRuns."""
    seeds = tuple(sorted(found))
    if len(seeds) < FEWEST_RUNS:
        raise GateTooFewRuns(len(seeds), FEWEST_RUNS)
    names = [name for name in found[seeds[0]] if all(name in found[seed] for seed in seeds)]
    figures = {name: _limits_of(name, [found[seed][name] for seed in seeds]) for name in names}
    return ScenarioLimits(digest=digest, seeds=seeds, gate_seed=_nearest(seeds, figures), figures=figures)


def read_limits(path: Path) -> GateLimits:
    """A file of limits. Raises GateLimitsUnreadable: it cannot be read, or its limits do not follow from its runs."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise GateLimitsUnreadable(str(path), f"has more than {_MOST_BYTES} bytes, and so is no file of limits")
        found = msgspec.json.decode(path.read_bytes(), type=GateLimits)
    except OSError as exc:
        raise GateLimitsUnreadable(str(path), f"cannot be read: {exc.strerror}") from exc
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise GateLimitsUnreadable(
            str(path), f"is not what this version writes: {exc}; measure anew with --measure --write"
        ) from exc
    for scenario, limits in found.scenarios.items():
        _check(path, scenario, limits)
    return found


def written_limits(limits: GateLimits) -> str:
    """The text of a file of limits: a figure on a line, so that a difference shows which moved."""
    lines = ["{", f'  "rule": {_json(limits.rule)},', f'  "northstar": {_json(limits.northstar)},', '  "scenarios": {']
    for at, (name, scenario) in enumerate(limits.scenarios.items(), start=1):
        lines += [
            f"    {_json(name)}: {{",
            f'      "digest": {_json(scenario.digest)},',
            f'      "seeds": {_json(scenario.seeds)},',
            f'      "gate_seed": {_json(scenario.gate_seed)},',
            '      "figures": {',
            ",\n".join(f"        {_json(figure)}: {_json(one)}" for figure, one in scenario.figures.items()),
            "      }",
            "    }" + ("," if at < len(limits.scenarios) else ""),
        ]
    return "\n".join([*lines, "  }", "}", ""])


def _limits_of(name: str, values: Sequence[float]) -> Limits:
    return limits_of(values, is_share=figure_named(name).unit == "share")


def _check(path: Path, scenario: str, limits: ScenarioLimits) -> None:
    for name, figure in limits.figures.items():
        if len(figure.values) != len(limits.seeds) or figure != _limits_of(name, figure.values):
            raise GateLimitsUnreadable(
                str(path),
                f"the limits of {scenario}/{name} do not follow from its runs, so they were changed by hand; measure anew with --measure --write",
            )
    if limits.gate_seed != _nearest(limits.seeds, limits.figures):
        raise GateLimitsUnreadable(
            str(path),
            f"the seed of {scenario} is not the one nearest to the means; measure anew with --measure --write",
        )


def _nearest(seeds: Sequence[int], figures: Mapping[str, Limits]) -> int:
    """The seed of which the figure that lies farthest from its mean, in standard deviations, lies nearest."""

    def farthest(at: int) -> float:
        return max((abs(one.values[at] - one.mean) / one.sd for one in figures.values() if one.sd), default=0.0)

    return min(zip(seeds, range(len(seeds)), strict=True), key=lambda pair: (farthest(pair[1]), pair[0]))[0]


def _json(value: object) -> str:
    """On one line, with spaces."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def _rounded(value: float) -> float:
    """To six significant digits, as a reader compares them."""
    return float(f"{value:.6g}")
