"""A history of validations as one page that a person reads, whole in one file, and as a line of blocks in a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from northstar.evaluation.errors import ReportImpossible
from northstar.evaluation.plots import Axis, Curve, curves_plot
from northstar.evaluation.wording import goal_said, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.evaluation.validation.record import ValidatedFigure, ValidationRecord
    from northstar.evaluation.validation.regression import ValidatedChange

_TEMPLATES: Final = Path(__file__).parents[1] / "templates"
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_DAY_S: Final = 86_400


def validation_page(records: Sequence[ValidationRecord], changes: Sequence[ValidatedChange]) -> str:
    """The page of a history, oldest first, and of how its last record stands beside the others. Raises ReportImpossible: Jinja is not installed."""
    try:
        import jinja2  # noqa: PLC0415 -- of an extra, which only the page needs
    except ImportError as error:
        raise ReportImpossible from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    last = records[-1]
    return (
        environment.get_template("validation.html").render(
            title=f"{last.kind.capitalize()} validation",
            last=last,
            records=records,
            changes=changes,
            regressions=sum(one.is_regression for one in changes),
            plots=[_plot(name, records) for name in last.figures],
            said=said,
            goal_said=goal_said,
        )
        + "\n"
    )


def sparkline(values: Sequence[float]) -> str:
    """Values as blocks, the lowest as the lowest block.

    >>> sparkline([1.0, 2.0, 3.0, 2.0, 8.0]), sparkline([5.0, 5.0])
    ('▁▂▃▂█', '▁▁')
    """
    if not values:
        return ""
    low, high = min(values), max(values)
    steps = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round(steps * (value - low) / (high - low)) if high > low else 0] for value in values)


def _plot(name: str, records: Sequence[ValidationRecord]) -> str:
    """A figure over time: the mean, how far its runs lay apart, and its goal."""
    first = _moment(records[0])
    told = [(_days(one, first), one.figures[name]) for one in records if name in one.figures]
    figure = told[-1][1]
    curves = [Curve("mean of the runs", [(at, one.mean) for at, one in told])]
    if figure.goal is not None:
        ends = (told[0][0], told[-1][0])
        curves += [
            Curve(f"goal {goal_said(figure.goal, figure.unit)}", [(at, edge) for at in ends]) for edge in _edges(figure)
        ]
    return curves_plot(
        f"{name}: {figure.what}",
        curves,
        x=Axis("day", lambda day: (first + timedelta(days=day)).date().isoformat()),
        y=Axis("", lambda value: said(value, figure.unit)),
        band=[(at, one.lowest, one.highest) for at, one in told],
    )


def _edges(figure: ValidatedFigure) -> list[float]:
    assert figure.goal is not None  # noqa: S101 -- said to the type checker
    return [edge for edge in (figure.goal.least, figure.goal.most) if edge is not None]


def _moment(record: ValidationRecord) -> datetime:
    return datetime.strptime(record.at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _days(record: ValidationRecord, first: datetime) -> float:
    return (_moment(record) - first).total_seconds() / _DAY_S
