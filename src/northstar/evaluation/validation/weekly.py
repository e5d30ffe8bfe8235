"""The weekly validation: do the figures of performance still hold? (spec, "Success Validation": weekly performance regression testing)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.evaluation.all_targets import figure_of
from northstar.evaluation.benchmark_figures import benchmark_figures
from northstar.evaluation.gate.figures import figure_named
from northstar.evaluation.gate.measuring import gate_scenarios, measured_side_by_side
from northstar.evaluation.validation.record import machine_note, validated, worse_side

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from northstar.evaluation.validation.record import ValidatedFigure


def simulated_figures(
    seeds: int, *, processes: int, tells: Callable[[str, int], None] = lambda *_: None
) -> dict[str, ValidatedFigure]:
    """The figures of all scenarios of the gate with so many seeds: `SCENARIO/FIGURE`. Raises what simulations do."""
    scenarios = gate_scenarios()
    found = measured_side_by_side(tuple(scenarios), range(1, seeds + 1), processes=processes, tells=tells)
    figures: dict[str, ValidatedFigure] = {}
    for scenario, read in scenarios.items():
        by_seed = [found[scenario][seed] for seed in sorted(found[scenario])]
        basis = f"{read.digest()[:16]}, {seeds} seeds"
        for name in by_seed[0]:
            if all(name in one for one in by_seed):
                known = figure_named(name)
                values = [one[name] for one in by_seed]
                figures[f"{scenario}/{name}"] = validated(known.what, known.unit, known.worse, values, basis=basis)
    return figures


def benchmarked_figures(folder: Path) -> dict[str, ValidatedFigure]:
    """What benchmarks said of targets: `benchmark/FIGURE` of all `*.json` in a folder, with the targets' goals.

    They are measured times, so they are compared only with those of a machine with the same system, processor and cores.

    Raises:
        What `benchmark_figures` does: there is no such folder, or nothing in it that they wrote.
    """
    machine = machine_note()
    basis = f"{machine.system} {machine.processor}, {machine.cores} cores"
    found: dict[str, ValidatedFigure] = {}
    for name, measured in benchmark_figures(folder).items():
        target = figure_of(name)
        found[f"benchmark/{name}"] = validated(
            target.what, target.unit, worse_side(target.goal), measured.values, basis=basis, goal=target.goal
        )
    return found
