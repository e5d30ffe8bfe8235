"""`northstar validate`: the validations of the specification, each of them made again and again and compared with the ones before it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from northstar import __version__
from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.exit_codes import FAILED
from northstar.surfaces.cli.interrupting import Interrupted, interruptible
from northstar.surfaces.cli.options import AsJson, run
from northstar.surfaces.cli.printing import print_aside, print_json

if TYPE_CHECKING:
    from northstar.evaluation.validation.history import LineHistory
    from northstar.evaluation.validation.record import Kind, ValidatedFigure, ValidationRecord

#: Validations that are kept: ten years of one a week.
MOST_RECORDS: Final = 520

History = Annotated[
    Path, typer.Option("--history", metavar="DIR", file_okay=False, help="Where what was found each time is kept.")
]
Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Also write one page with plots over time, whole in itself."),
]


class ValidationOptions(InvalidRequest):
    """An option of a validation is not what it should be."""

    code = "NS_VALIDATION_OPTIONS"


def weekly(
    history: History,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=2, max=1_000, help="Of each simulation.")] = 10,
    benchmarks: Annotated[
        Path | None,
        typer.Option(
            "--benchmarks", metavar="DIR", file_okay=False, help="Also what `python -m benchmarks --json` wrote here."
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", metavar="N", min=1, max=256, help="Default: one for each core.")
    ] = None,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Measure performance as the gate's scenarios and benchmarks have it, keep it, and compare it with the weeks before.

    Exit code 1 where a figure is worse than before by more than its runs and the earlier values lie apart, or misses a goal that it met.
    """
    from northstar.evaluation.validation.weekly import benchmarked_figures, simulated_figures

    figures = {} if benchmarks is None else benchmarked_figures(benchmarks)
    figures |= simulated_figures(
        seeds,
        processes=processes or os.cpu_count() or 1,
        tells=lambda name, seed: print_aside(f"{name}, seed {seed}"),
    )
    _keep_and_judge("weekly", figures, f"{seeds} seeds of each scenario of the gate", history, html, as_json=as_json)


def monthly(
    history: History,
    scenario: Annotated[
        Path | None,
        typer.Option(
            "--scenario",
            metavar="FILE",
            dir_okay=False,
            help="Your fleet, as `simulate` takes it. Default: one for all pools.",
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace", metavar="FILE", dir_okay=False, help="Your own jobs, from `northstar export --for simulation`."
        ),
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            "--price", metavar="KIND=USD", help="What an hour of a kind of machine costs you; may be repeated."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, max=1_000, help="Of each simulation.")] = 3,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Measure what the work costs beside uniform machines at equal service, keep it, and compare it with the months before and with the targets.

    Exit code 1 where a figure is worse than before by more than its runs and the earlier values lie apart, or misses a goal that it met.
    """
    from northstar.evaluation.validation.fleets import cost_fleet
    from northstar.evaluation.validation.monthly import monthly_costs

    fleet = cost_fleet(scenario, trace=trace, prices=dict(map(_price, price or ())))
    work = monthly_costs(fleet, range(1, seeds + 1), tells=lambda what, seed: print_aside(f"{what}, seed {seed}"))
    try:
        found = run(interruptible(work))
    except Interrupted as exc:
        raise typer.Exit(exc.exit_code) from exc
    _keep_and_judge("monthly", found.figures, found.said, history, html, as_json=as_json)


def reliability(
    history: History,
    url: Annotated[str, typer.Option("--url", metavar="URL", help="The broker, as clients reach it.")],
    days: Annotated[float, typer.Option("--days", min=0.01, max=3_650, help="Uptime of the last so many days.")] = 30.0,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace",
            metavar="FILE",
            dir_okay=False,
            help="Also the error rate of these jobs (`export --for simulation`).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the broker whether it can serve, keep the answer, and tell its uptime since: to be run each minute.

    Exit code 1 where it cannot serve now, was up less than the specification asks for, or more jobs went wrong than that allows.
    """
    from northstar.evaluation.validation.history import LineHistory
    from northstar.evaluation.validation.record import moment_said
    from northstar.evaluation.validation.reliability import MOST_LOOKS, Look, errors_of, look_at, reliability_of
    from northstar.surfaces.cli.validate_text import show_reliability

    now = datetime.now(tz=UTC)
    look = look_at(url, at=moment_said(now))
    kept = LineHistory(history / "reliability.jsonl", Look, most=MOST_LOOKS)
    kept.append(look)
    stands = reliability_of(kept.read(), now=now, days=days)
    errors = None if trace is None else errors_of(trace)
    is_met = stands.goal.is_met(stands.uptime) and (errors is None or errors.goal.is_met(1 - errors.rate))
    if as_json:
        print_json(
            {"now": look, "days": days, **stands._asdict(), "errors": None if errors is None else errors._asdict()}
        )
    else:
        show_reliability(look, stands, errors, days=days)
    if not (look.up and is_met):
        raise typer.Exit(FAILED)


def show(
    history: History,
    kind: Annotated[str, typer.Argument(metavar="weekly|monthly", help="Which validation.")],
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Show the latest validation beside the ones before it, and measure nothing; exit code as it had then."""
    if kind not in {"weekly", "monthly"}:
        raise ValidationOptions(f"there is no {kind} validation to show: name weekly or monthly")
    kept = _history(history, "weekly" if kind == "weekly" else "monthly")
    records = kept.read()
    if not records:
        raise ValidationOptions(
            f"{kept.path} has no validation yet; `northstar validate {kind} --history {history}` makes one"
        )
    _judge(records, html, as_json=as_json)


def _price(said: str) -> tuple[str, float]:
    kind, _, usd = said.partition("=")
    try:
        value = float(usd)
    except ValueError:
        value = -1.0
    if not kind or not 0 <= value <= 1e6:
        raise ValidationOptions(f"--price {said} is no price; say it as --price rtx-4090=0.18")
    return kind, value


def _history(folder: Path, kind: Kind) -> LineHistory[ValidationRecord]:
    from northstar.evaluation.validation.history import LineHistory
    from northstar.evaluation.validation.record import ValidationRecord

    return LineHistory(folder / f"{kind}.jsonl", ValidationRecord, most=MOST_RECORDS)


def _keep_and_judge(
    kind: Kind, figures: dict[str, ValidatedFigure], about: str, folder: Path, html: Path | None, *, as_json: bool
) -> None:
    from northstar.evaluation.validation.record import ValidationRecord, machine_note, moment_said

    kept = _history(folder, kind)
    kept.append(
        ValidationRecord(
            kind=kind,
            at=moment_said(datetime.now(tz=UTC)),
            northstar=__version__,
            machine=machine_note(),
            about=about,
            figures=figures,
        )
    )
    print_aside(f"kept in {kept.path}")
    _judge(kept.read(), html, as_json=as_json)


def _judge(records: tuple[ValidationRecord, ...], html: Path | None, *, as_json: bool) -> None:
    from northstar.evaluation.validation.page import validation_page
    from northstar.evaluation.validation.regression import changes_of
    from northstar.surfaces.cli.new_file import NewFile
    from northstar.surfaces.cli.validate_text import regressions_said, show_changes

    *earlier, last = records
    changes = changes_of(last, earlier)
    if html is not None:
        page = validation_page(records, changes)
        with NewFile(html) as file:
            file.write(page)
        print_aside(f"the page is in {html}")
    regressions = [one for one in changes if one.is_regression]
    if as_json:
        print_json({"record": last, "earlier": len(earlier), "regressions": len(regressions), "changes": changes})
    else:
        show_changes(records, changes)
    for sentence in regressions_said(regressions):
        print_aside(sentence)
    if regressions:
        raise typer.Exit(FAILED)
