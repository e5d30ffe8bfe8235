"""One page that a person reads: the targets with their verdicts, and how the runs went; whole in one file, with nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from northstar.evaluation.errors import ReportImpossible
from northstar.evaluation.plots import Axis, Bar, Curve, bars_plot, curves_plot
from northstar.evaluation.run_figures import CURVE_AT
from northstar.evaluation.wording import goal_said, said, spread_said

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.evaluation.results import ForecastPoint, Results
    from northstar.evaluation.run_figures import RunSummary
    from northstar.evaluation.scorecard import Scorecard

_TEMPLATES: Final = Path(__file__).parent / "templates"
_SECTIONS: Final = ("service", "scale", "models and cost", "prediction")
_GB: Final = 1e9


def report_page(card: Scorecard, results: Results) -> str:
    """The page as HTML. Raises ReportImpossible: Jinja is not installed."""
    try:
        import jinja2  # noqa: PLC0415 -- of an extra, which only the page needs
    except ImportError as error:
        raise ReportImpossible from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    first = _first_of_each(results.runs)
    page = environment.get_template("report.html").render(
        card=card,
        sections=[(name, [row for row in card.rows if row.section == name]) for name in _SECTIONS],
        said=said,
        goal_said=goal_said,
        spread_said=spread_said,
        plots=[*_plots(first), _forecast_plot(results.forecasts)],
        runs=results.runs,
        gb=lambda size_bytes: f"{size_bytes / _GB:,.1f}",
    )
    return page + "\n"


def _first_of_each(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """One run of each policy in each scenario, that of its first seed: curves of all seeds would hide each other."""
    found: dict[str, RunSummary] = {}
    for run in runs:
        if run.label not in found or run.seed < found[run.label].seed:
            found[run.label] = run
    return list(found.values())


def _plots(runs: Sequence[RunSummary]) -> list[str]:
    # All policies have the same axis, so that their curves can be laid over each other by eye.
    longest_s = max(
        (wait for run in runs for pool in run.pools for wait in pool.curve_s if wait is not None), default=1.0
    )
    return [
        *(_waits_plot(run, longest_s) for run in runs),
        bars_plot(
            "Cold starts by pool, of 100 jobs",
            [
                Bar(f"{run.label}, {pool.pool}", (100 * pool.cold_starts / pool.jobs,))
                for run in runs
                for pool in run.pools
                if pool.jobs
            ],
            parts=("cold starts",),
            said="{:.1f}".format,
        ),
        bars_plot(
            "GB fetched",
            [
                Bar(
                    run.label,
                    (
                        (run.fetched_bytes - run.redundant_bytes) / _GB,
                        run.redundant_bytes / _GB,
                        run.baked_bytes / _GB,
                    ),
                )
                for run in runs
            ],
            parts=("for the first time", "again", "with images"),
            said="{:,.0f}".format,
        ),
        curves_plot(
            "Machines that are paid for",
            [Curve(run.label, run.machines_on) for run in runs],
            x=Axis("hours"),
            y=Axis("machines"),
        ),
        _bars("Machine-hours", runs, lambda run: run.machine_hours, "{:,.0f} h"),
        _bars("Cost, US dollars", runs, lambda run: run.usd, "${:,.2f}"),
    ]


def _bars(title: str, runs: Sequence[RunSummary], value: Callable[[RunSummary], float], words: str) -> str:
    return bars_plot(title, [Bar(run.label, (value(run),)) for run in runs], parts=("",), said=words.format)


def _waits_plot(run: RunSummary, longest_s: float) -> str:
    curves = [
        Curve(
            f"{pool.pool} ({pool.jobs:,} jobs)",
            [(max(0.1, wait), at) for wait, at in zip(pool.curve_s, CURVE_AT, strict=True) if wait is not None],
        )
        for pool in run.pools
    ]
    return curves_plot(
        f"How long jobs waited: {run.label}",
        curves,
        x=Axis("waited less than so many seconds", "{:g}".format, is_log=True),
        y=Axis("jobs", lambda share: f"{100 * share:.0f} %"),
        x_range=(0.1, max(longest_s, 30.0)),
        y_range=(0.0, 1.0),
        mark=(10.0, "10 s"),
    )


def _forecast_plot(points: Sequence[ForecastPoint]) -> str:
    lines: dict[str, Any] = {
        "what came": [(point.hour, point.came) for point in points],
        "what was foreseen": [(point.hour, point.foreseen) for point in points],
    }
    return curves_plot(
        "Forecasts against what came",
        [Curve(name, line) for name, line in lines.items()],
        x=Axis("hours"),
        y=Axis("jobs in an hour"),
        band=[(point.hour, point.low, point.high) for point in points],
    )
