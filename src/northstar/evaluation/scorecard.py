"""The scorecard: every figure of every target, measured or not, with its spread, its baseline and a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from northstar.evaluation.all_targets import ALL_TARGETS, figure_of
from northstar.evaluation.errors import MeasurementImpossible
from northstar.evaluation.spread import Spread, spread_of
from northstar.evaluation.targets import Goal, Section, Unit

if TYPE_CHECKING:
    from northstar.evaluation.results import Results
    from northstar.evaluation.targets import Figure, Target

Verdict: TypeAlias = Literal["pass", "short", "not measured"]


class BaselineSpread(msgspec.Struct, frozen=True, kw_only=True):
    """What another policy reached on the same workload."""

    policy: str
    spread: Spread


class ScoredFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `meets_spec`: whether the specification's own number is met; None: it names none, or nothing was measured."""

    id: str
    what: str
    unit: Unit
    goal: Goal
    spec: Goal | None
    verdict: Verdict
    measured: Spread | None = None
    meets_spec: bool | None = None
    #: Whether the goal is met with every seed, and not by the median alone.
    with_every_seed: bool | None = None
    baseline: BaselineSpread | None = None
    note: str = ""
    tuned: bool = False


class ScoredRow(msgspec.Struct, frozen=True, kw_only=True):
    """One target."""

    id: str
    section: Section
    spec: str
    definition: str
    known: str
    note: str
    figures: tuple[ScoredFigure, ...]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How many figures there are of each verdict."""

    passed: int
    short: int
    not_measured: int


class Scorecard(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `version` is that of North Star."""

    version: str
    about: str
    totals: Totals
    rows: tuple[ScoredRow, ...]

    @property
    def figures(self) -> dict[str, ScoredFigure]:
        """Figures by their ids."""
        return {figure.id: figure for row in self.rows for figure in row.figures}


def scorecard_of(results: Results, *, version: str) -> Scorecard:
    """Judge results; a row never disappears.

    Raises:
        UnknownFigure: something was measured that no target speaks of. MeasurementImpossible: a value that cannot be.
    """
    for name, measured in results.measured.items():
        _check(figure_of(name), measured.values)
    for name, baseline in results.baselines.items():
        _check(figure_of(name), baseline.values)
    for name in results.why_not:
        figure_of(name)
    rows = tuple(_row(target, results) for target in ALL_TARGETS)
    verdicts = [figure.verdict for row in rows for figure in row.figures]
    totals = Totals(
        passed=verdicts.count("pass"), short=verdicts.count("short"), not_measured=verdicts.count("not measured")
    )
    return Scorecard(version=version, about=results.about, totals=totals, rows=rows)


def _check(figure: Figure, values: tuple[float, ...]) -> None:
    spread_of(figure.id, values)
    for value in values:
        if not figure.can_be(value):
            raise MeasurementImpossible(figure.id, f"it cannot be {value}")


def _row(target: Target, results: Results) -> ScoredRow:
    return ScoredRow(
        id=target.id,
        section=target.section,
        spec=target.spec,
        definition=target.definition,
        known=target.known,
        note=target.note,
        figures=tuple(_figure(figure, results) for figure in target.figures),
    )


def _figure(figure: Figure, results: Results) -> ScoredFigure:
    told = results.measured.get(figure.id)
    other = results.baselines.get(figure.id)
    baseline = None if other is None else BaselineSpread(policy=other.policy, spread=spread_of(figure.id, other.values))
    blank = ScoredFigure(
        id=figure.id,
        what=figure.what,
        unit=figure.unit,
        goal=figure.goal,
        spec=figure.spec,
        verdict="not measured",
        baseline=baseline,
    )
    if told is None:
        return msgspec.structs.replace(blank, note=results.why_not.get(figure.id, ""))
    spread = spread_of(figure.id, told.values)
    return msgspec.structs.replace(
        blank,
        verdict="pass" if figure.goal.is_met(spread.median) else "short",
        measured=spread,
        meets_spec=None if figure.spec is None else figure.spec.is_met(spread.median),
        with_every_seed=all(figure.goal.is_met(value) for value in told.values),
        note=told.note,
        tuned=told.tuned,
    )
