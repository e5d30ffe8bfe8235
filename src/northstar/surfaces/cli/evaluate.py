"""`northstar evaluate`: did we meet the targets?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from northstar import __version__
from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.options import AsJson
from northstar.surfaces.cli.printing import console, counted, print_aside, print_json, print_table

if TYPE_CHECKING:
    from northstar.evaluation.comparison import Comparison
    from northstar.evaluation.results import Results
    from northstar.evaluation.scorecard import Scorecard, ScoredFigure


class EvaluationOptions(InvalidRequest):
    """Options that contradict each other are given together."""

    code = "NS_EVALUATION_OPTIONS"


def evaluate(
    results: Annotated[
        Path | None,
        typer.Argument(metavar="RESULTS", help="Judge this file of results. Default: run the agreed scenarios."),
    ] = None,
    which: Annotated[
        str | None, typer.Option("--set", metavar="SET", help="Which scenarios: small (default), full.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="SCENARIO", help="Of the set only this one; repeatable.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", min=1, max=100, help="So many seeds, in place of each scenario's own."),
    ] = None,
    traces: Annotated[
        Path | None,
        typer.Option("--traces", metavar="DIR", help="Where the real traces are. Default: $NORTHSTAR_TRACES."),
    ] = None,
    benchmarks: Annotated[
        Path | None,
        typer.Option("--benchmarks", metavar="DIR", help="Where the JSON of `python -m benchmarks` is."),
    ] = None,
    scenarios: Annotated[
        Path | None,
        typer.Option("--scenarios", metavar="DIR", help="Sets of your own, a folder each, in place of the agreed."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", dir_okay=False, help="Write the results down as each run ends."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the file of --out: runs that are in it are not made again.")
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A B", help="What changed from scorecard A to B, as --json printed them."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write one page with plots, whole in itself.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the agreed scenarios, and print every target: its goal, what was measured, its baseline and the verdict.

    What is not measured says so, and why. With RESULTS nothing is run: that file is judged. Ctrl-C ends the runs; what is in the file of --out
    stays, and --resume goes on from there. With --compare: every figure of two scorecards, and whether it got better or worse by more than its
    seeds lie apart.
    """
    runs = [which, only, seeds, traces, benchmarks, scenarios, out]
    is_to_run = resume or any(one is not None for one in runs)
    if compare is not None:
        if results is not None or html is not None or is_to_run:
            raise EvaluationOptions("--compare takes two scorecards and prints what changed: leave everything else out")
        _compare(*compare, as_json=as_json)
        return
    if results is not None and is_to_run:
        raise EvaluationOptions(
            "a file of results is judged as it is: leave RESULTS out to run scenarios, or all options but --html and --json"
        )
    if resume and out is None:
        raise EvaluationOptions("--resume goes on with a file: name it with --out FILE")
    from northstar.evaluation.results import Results, read_kept

    if results is not None:
        kept = read_kept(results, Results)
    else:
        from northstar.surfaces.cli.evaluate_runs import Wanted, evaluated

        kept = evaluated(
            Wanted(
                which=which,
                only=tuple(only or ()),
                seeds=seeds,
                traces=traces,
                benchmarks=benchmarks,
                scenarios=scenarios,
                out=out,
                resume=resume,
            )
        )
    _judge(kept, html=html, as_json=as_json)


def _judge(kept: Results, *, html: Path | None, as_json: bool) -> None:
    from northstar.evaluation.scorecard import scorecard_of

    card = scorecard_of(kept, version=__version__)
    if html is not None:
        from northstar.evaluation.report import report_page
        from northstar.surfaces.cli.new_file import NewFile

        page = report_page(card, kept)
        with NewFile(html) as file:
            file.write(page)
        print_aside(f"the page is in {html}")
    if as_json:
        print_json(card)
    else:
        _show(card)


def _show(card: Scorecard) -> None:
    from northstar.evaluation.wording import goal_said

    totals = card.totals
    console().print(
        f"{card.about}: {totals.passed} pass, {totals.short} short, {counted(totals.not_measured, 'figure')} not measured",
        markup=False,
    )
    for section in dict.fromkeys(row.section for row in card.rows):
        print_table(
            ("FIGURE", "TARGET", "SPEC", "GOAL", "MEASURED", "BASELINE", "VERDICT"),
            (
                (
                    figure.id,
                    f"{row.spec} ({figure.what})",
                    "-" if figure.spec is None else goal_said(figure.spec, figure.unit),
                    goal_said(figure.goal, figure.unit),
                    *_measured(figure),
                    figure.verdict,
                )
                for row in card.rows
                if row.section == section
                for figure in row.figures
            ),
            title=section,
        )
    _show_notes(card)


def _show_notes(card: Scorecard) -> None:
    """What has to be said of figures: one line for all of which the same is said."""
    said: dict[str, list[str]] = {}
    for figure in card.figures.values():
        if figure.note:
            said.setdefault(figure.note, []).append(figure.id)
    for note, figures in said.items():
        console().print(f"{', '.join(figures)}: {note}", markup=False, soft_wrap=True)


def _measured(figure: ScoredFigure) -> tuple[str, str]:
    from northstar.evaluation.wording import spread_said

    own = "-" if figure.measured is None else spread_said(figure.measured, figure.unit)
    if figure.tuned:
        own += ", tuned on the same window"
    if figure.baseline is None:
        return own, "-"
    return own, f"{figure.baseline.policy} {spread_said(figure.baseline.spread, figure.unit)}"


def _compare(before: Path, after: Path, *, as_json: bool) -> None:
    from northstar.evaluation.comparison import compare as compared
    from northstar.evaluation.results import read_kept
    from northstar.evaluation.scorecard import Scorecard

    found = compared(read_kept(before, Scorecard), read_kept(after, Scorecard))
    if as_json:
        print_json(found)
    else:
        _show_comparison(found)


def _show_comparison(found: Comparison) -> None:
    from northstar.evaluation.wording import said

    told = [figure for figure in found.figures if figure.change != "not measured"]
    console().print(
        f"from {found.before} to {found.after}: {counted(len(found.worse), 'figure')} worse or gone, "
        f"{len(found.figures) - len(told)} measured in neither",
        markup=False,
    )
    print_table(
        ("FIGURE", "BEFORE", "AFTER", "CHANGE", "VERDICT BEFORE", "AFTER"),
        (
            (
                figure.id,
                "-" if figure.before is None else said(figure.before, figure.unit),
                "-" if figure.after is None else said(figure.after, figure.unit),
                figure.change,
                *figure.verdicts,
            )
            for figure in told
        ),
    )
