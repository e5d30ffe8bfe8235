"""`northstar gate`: do small simulations still come to what they came to when their limits were measured?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from northstar import __version__
from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.exit_codes import FAILED
from northstar.surfaces.cli.interrupting import Interrupted, interruptible
from northstar.surfaces.cli.options import AsJson, run
from northstar.surfaces.cli.printing import console, counted, print_aside, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.evaluation.gate.limits import GateLimits
    from northstar.evaluation.gate.verdicts import GateFinding


class GateOptions(InvalidRequest):
    """Options of measuring are given without --measure, or the other way round."""

    code = "NS_GATE_OPTIONS"


def gate(
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", metavar="NAME", help="Only this one; may be repeated.")
    ] = None,
    limits: Annotated[
        Path | None,
        typer.Option("--limits", metavar="FILE", dir_okay=False, help="Limits, JSON. Default: those of this version."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run many seeds, and print the limits that follow from them.")
    ] = False,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", min=5, max=1_000, help="Seeds of --measure. Default: 20.")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", metavar="FILE", dir_okay=False, help="Write the measured limits here; others in the file stay."
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", metavar="N", min=1, max=256, help="Of --measure. Default: one for each core."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run small simulations with fixed seeds, and fail (exit code 1) where a figure leaves its limits.

    The same code comes to the same figures, so limits have no need of a quiet machine. What leaves them is told with what was measured,
    the limits, and how to set new ones honestly: with --measure, which runs 20 seeds again and writes what follows from them.
    """
    from northstar.evaluation.gate.measuring import LIMITS

    if measure:
        if limits is not None:
            raise GateOptions("--measure compares nothing: leave --limits out, and name the file to write with --write")
        _measure(scenario or (), seeds or 20, write, processes or os.cpu_count() or 1, as_json=as_json)
        return
    if seeds is not None or write is not None or processes is not None:
        raise GateOptions("--seeds, --write and --processes belong to --measure: the gate runs the seeds of its limits")
    try:
        findings = run(interruptible(_judged(scenario or (), limits or LIMITS)))
    except Interrupted as exc:
        raise typer.Exit(exc.exit_code) from exc
    _show(findings, as_json=as_json)
    if any(one.fails for one in findings):
        raise typer.Exit(FAILED)


async def _judged(names: Sequence[str], limits: Path) -> list[GateFinding]:
    from northstar.evaluation.gate.running import gate_findings

    return await gate_findings(names, limits, tells=lambda name, seed: print_aside(f"{name}, seed {seed}"))


def _show(findings: Sequence[GateFinding], *, as_json: bool) -> None:
    from northstar.evaluation.gate.verdicts import complaint
    from northstar.evaluation.wording import said

    failed = sum(one.fails for one in findings)
    if as_json:
        print_json({"northstar": __version__, "failed": failed, "figures": findings})
    else:
        print_table(
            ("SCENARIO", "FIGURE", "MEASURED", "FROM", "TO", "MEAN", "SD", "RUNS", "VERDICT"),
            (
                (
                    one.scenario,
                    one.figure,
                    *(
                        "-" if value is None else said(value, one.unit)
                        for value in (one.measured, one.least, one.most, one.mean, one.sd)
                    ),
                    one.runs,
                    one.verdict,
                )
                for one in findings
            ),
        )
        console().print(f"{counted(len(findings), 'figure')}, {failed} outside of their limits", markup=False)
    if failed:
        print_aside(complaint(findings))


def _measure(names: Sequence[str], seeds: int, write: Path | None, processes: int, *, as_json: bool) -> None:
    from northstar.evaluation.gate.limits import written_limits
    from northstar.evaluation.gate.running import measured_limits
    from northstar.surfaces.cli.new_file import NewFile

    found = measured_limits(
        names,
        range(1, seeds + 1),
        processes=processes,
        beside=write if write is not None and write.exists() else None,
        tells=lambda name, seed: print_aside(f"{name}, seed {seed}"),
    )
    if write is not None:
        with NewFile(write) as file:
            file.write(written_limits(found))
        print_aside(f"the limits are in {write}; look at which means moved before you commit them")
    if as_json:
        print_json(found)
    else:
        _show_limits(found)


def _show_limits(found: GateLimits) -> None:
    from northstar.evaluation.gate.figures import figure_named
    from northstar.evaluation.wording import said

    print_table(
        ("SCENARIO", "FIGURE", "MEAN", "SD", "LOWEST", "HIGHEST", "RUNS", "FROM", "TO"),
        (
            (
                scenario,
                name,
                *(
                    said(value, figure_named(name).unit)
                    for value in (limits.mean, limits.sd, limits.lowest, limits.highest)
                ),
                limits.runs,
                said(limits.least, figure_named(name).unit),
                said(limits.most, figure_named(name).unit),
            )
            for scenario, of_scenario in found.scenarios.items()
            for name, limits in of_scenario.figures.items()
        ),
    )
