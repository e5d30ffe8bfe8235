"""The runs of `northstar evaluate`: what is to be run is said, then run and kept as it goes."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import typer

from northstar import __version__, telemetry
from northstar.surfaces.cli.interrupting import Interrupted, interruptible
from northstar.surfaces.cli.new_file import NewFile
from northstar.surfaces.cli.options import run
from northstar.surfaces.cli.printing import counted, print_aside

if TYPE_CHECKING:
    from northstar.evaluation.agreed.campaign import Campaign
    from northstar.evaluation.results import Measured, Results
    from northstar.evaluation.run_figures import RunSummary

#: The environment variable that names the folder of real traces.
_TRACES = "NORTHSTAR_TRACES"


class Wanted(NamedTuple):
    """What the command line asked for."""

    which: str | None
    only: tuple[str, ...]
    seeds: int | None
    traces: Path | None
    benchmarks: Path | None
    scenarios: Path | None
    out: Path | None
    resume: bool


def evaluated(wanted: Wanted) -> Results:
    """Run what is wanted, and give the results.

    Raises:
        UnknownAgreed, TracesMissing, ResultsExist, ResultsDiffer, and what scenarios, their traces and their runs raise. typer.Exit: it was interrupted.
    """
    from northstar.evaluation.agreed.campaign import Campaign
    from northstar.evaluation.agreed.reading import agreed_set
    from northstar.evaluation.benchmark_figures import benchmark_figures

    named = os.environ.get(_TRACES)
    traces = wanted.traces or (Path(named) if named else None)
    which = wanted.which or "small"
    agreed = agreed_set(which, traces=traces, folder=wanted.scenarios)
    campaign = Campaign(
        agreed, set_name=which, version=__version__, only=wanted.only, seeds=wanted.seeds, traces=traces
    )
    beside = {} if wanted.benchmarks is None else benchmark_figures(wanted.benchmarks)
    made = _left(campaign, wanted)
    if wanted.out is not None:
        _check_writable(wanted.out)
    _announce(campaign, made)
    return _run(campaign, made, wanted.out, beside)


def _left(campaign: Campaign, wanted: Wanted) -> list[RunSummary]:
    """Runs that the file has already. Raises ResultsExist, ResultsDiffer, ResultsUnreadable."""
    from northstar.evaluation.agreed.errors import ResultsExist
    from northstar.evaluation.results import Results, read_kept

    if wanted.out is None or not wanted.out.exists():
        return []
    if not wanted.resume:
        raise ResultsExist(wanted.out)
    return campaign.left_by(read_kept(wanted.out, Results), wanted.out)


class _NotNow(Exception):
    """Nothing is to be written yet."""


def _check_writable(path: Path) -> None:
    """Whoever runs for hours learns at once that nothing could be kept. Raises FileUnwritable."""
    with contextlib.suppress(_NotNow), NewFile(path):
        raise _NotNow


def _announce(campaign: Campaign, made: list[RunSummary]) -> None:
    from northstar.domain.amounts import length

    scenarios = counted(len(campaign.agreed), "scenario")
    print_aside(
        f"set {campaign.set_name}: {scenarios}, {counted(campaign.runs, 'run')}, about {length(1_000 * campaign.takes_s)} "
        f"on two cores that do nothing else ({', '.join(one.name for one in campaign.agreed)})"
    )
    for name, files in campaign.lacking.items():
        figures = sorted(figure for figure, why in campaign.unmeasured.items() if why.startswith(f"scenario {name} "))
        print_aside(
            f"not run: {name}, since {', '.join(files)} is not there (--traces DIR or {_TRACES}); "
            f"not measured therefore: {', '.join(figures) or 'nothing'}"
        )
    if made:
        print_aside(f"in the file already: {campaign.count_of(made)} of {counted(campaign.runs, 'run')}")


def _run(campaign: Campaign, made: list[RunSummary], out: Path | None, beside: dict[str, Measured]) -> Results:
    from northstar.surfaces.cli.evaluate_progress import shown

    kept = list(made)

    def keep(summary: RunSummary) -> None:
        kept.append(summary)
        if out is not None:
            write_results(out, campaign.results(kept, beside=beside))

    telemetry.configure_late(level="error")  # what goes wrong on a simulated machine is what was to be seen
    try:
        with shown(campaign.runs, known=campaign.count_of(made), keep=keep) as hearer:
            runs = run(interruptible(campaign.run(made=made, hearer=hearer)))
    except Interrupted as exc:
        _say_interrupted(out, campaign, campaign.count_of(kept))
        raise typer.Exit(exc.exit_code) from exc
    results = campaign.results(_all_of(runs, made), beside=beside)
    if out is not None:
        write_results(out, results)
    return results


def _all_of(runs: list[RunSummary], made: list[RunSummary]) -> list[RunSummary]:
    """Runs of this evaluation, and those of earlier ones that the file has beside: nothing that was run is thrown away."""
    own = {(one.scenario, one.policy, one.seed) for one in runs}
    return [*runs, *(one for one in made if (one.scenario, one.policy, one.seed) not in own)]


def write_results(path: Path, results: Results) -> None:
    """Put them in the place of what was there. Raises FileUnwritable."""
    with NewFile(path) as file:
        file.write(msgspec.json.encode(results, order="deterministic").decode() + "\n")


def _say_interrupted(out: Path | None, campaign: Campaign, done: int) -> None:
    if out is None:
        sys.stderr.write("interrupted; nothing was written down, since no file was named with --out\n")
    elif not done:
        sys.stderr.write("interrupted before the first run was over; nothing was written down\n")
    else:
        sys.stderr.write(
            f"interrupted; in {out}: {done} of {counted(campaign.runs, 'run')}; go on with --resume, or judge what is there: "
            f"northstar evaluate {out}\n"
        )
