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
    from northstar.evaluation.scorecard import Scorecard, ScoredFigure


class NothingToCompareWith(InvalidRequest):
    """Options of a scorecard and of a comparison are given together."""

    code = "NS_EVALUATION_OPTIONS"

    def __init__(self) -> None:
        super().__init__("--compare takes two scorecards and prints what changed: leave RESULTS and --html out")


def evaluate(
    results: Annotated[
        Path | None,
        typer.Argument(metavar="RESULTS", help="Results of runs, JSON. Default: none, so that nothing is measured."),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A B", help="What changed from scorecard A to B, as --json printed them."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write one page with plots, whole in itself.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print every target with its goal, what was measured, its baseline and the verdict; what is not measured says so.

    With --compare: every figure of two scorecards, and whether it got better or worse by more than its seeds lie apart.
    """
    if compare is not None:
        if results is not None or html is not None:
            raise NothingToCompareWith
        _compare(*compare, as_json=as_json)
        return
    from northstar.evaluation.results import Results, read_kept
    from northstar.evaluation.scorecard import scorecard_of

    kept = Results(about="nothing was run") if results is None else read_kept(results, Results)
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
