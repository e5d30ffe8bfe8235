"""The gate itself: run each scenario with its seed and judge it; and measure anew what the limits follow from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar import __version__
from northstar.evaluation.gate.errors import GateLimitsUnreadable
from northstar.evaluation.gate.limits import GateLimits, read_limits, scenario_limits
from northstar.evaluation.gate.measuring import gate_figures, gate_scenarios, measured_side_by_side
from northstar.evaluation.gate.verdicts import judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from northstar.evaluation.gate.limits import ScenarioLimits
    from northstar.evaluation.gate.verdicts import GateFinding
    from northstar.simulation.scenario.reading import ReadScenario


async def gate_findings(
    names: Sequence[str], limits: Path, *, tells: Callable[[str, int], None] = lambda *_: None
) -> list[GateFinding]:
    """Every figure of these scenarios, or of all, beside its limits. `tells` hears of each run before it is made.

    Raises:
        GateUnknownScenario; GateLimitsUnreadable: also where a scenario has changed since. What simulations do.
    """
    known = read_limits(limits)
    found: list[GateFinding] = []
    scenarios = gate_scenarios(names)
    of_each = {name: _limits_for(name, read, known, limits) for name, read in scenarios.items()}
    for name, read in scenarios.items():
        seed = of_each[name].gate_seed
        tells(name, seed)
        found += judged(name, await gate_figures(read, seed), of_each[name])
    return found


def measured_limits(
    names: Sequence[str],
    seeds: Iterable[int],
    *,
    processes: int,
    beside: Path | None = None,
    tells: Callable[[str, int], None] = lambda *_: None,
) -> GateLimits:
    """Limits of these scenarios, or of all, from runs that are made now.

    Args:
        names: of scenarios; empty: all.
        seeds: of the runs.
        processes: so many run side by side.
        beside: a file of limits whose other scenarios are taken over; those that are no more are left out.
        tells: hears of each run as it is over.

    Raises:
        GateUnknownScenario, GateTooFewRuns; GateLimitsUnreadable: of `beside`, where not all scenarios are measured. What simulations do.
    """
    scenarios = gate_scenarios(names)
    kept = read_limits(beside).scenarios if names and beside is not None else {}
    found = measured_side_by_side(tuple(scenarios), tuple(seeds), processes=processes, tells=tells)
    new = {name: scenario_limits(read.digest(), found[name]) for name, read in scenarios.items()}
    every = kept | new
    return GateLimits(
        northstar=__version__, scenarios={name: every[name] for name in gate_scenarios() if name in every}
    )


def _limits_for(name: str, read: ReadScenario, known: GateLimits, path: Path) -> ScenarioLimits:
    limits = known.scenarios.get(name)
    if limits is None:
        raise GateLimitsUnreadable(str(path), f"has no limits of {name}; measure them with --measure --write {path}")
    if limits.digest != read.digest():
        raise GateLimitsUnreadable(
            str(path),
            f"scenario {name} says something else than when its limits were measured; measure anew with --measure --write {path}",
        )
    return limits
