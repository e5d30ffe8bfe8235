"""What one validation found, as a line of its history has it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec

from northstar.evaluation.errors import NothingToMeasure
from northstar.evaluation.gate.figures import Worse
from northstar.evaluation.targets import Goal, Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind: TypeAlias = Literal["weekly", "monthly"]
_Text = Annotated[str, msgspec.Meta(max_length=400)]


class MachineNote(msgspec.Struct, frozen=True, kw_only=True):
    """On what it was run: measured times of another machine are others."""

    system: _Text
    processor: _Text
    cores: int
    python: _Text


class ValidatedFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure and how far its runs lie apart."""

    what: _Text
    unit: Unit
    worse: Worse
    mean: float
    #: Of the runs; 0 of a single one, of which it is not known.
    sd: float
    lowest: float
    highest: float
    runs: int
    #: Of what it was measured on: only figures with the same are compared.
    basis: _Text
    #: It is measured on other jobs each time, so how far it lies apart between times is known only from several of them.
    varies: bool = False
    #: Where it should be; None: it has no goal of its own.
    goal: Goal | None = None

    @property
    def meets_goal(self) -> bool | None:
        """None: there is none."""
        return None if self.goal is None else self.goal.is_met(self.mean)


class ValidationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A validation that was made."""

    kind: Kind
    #: When, ISO 8601 in UTC.
    at: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
    northstar: _Text
    machine: MachineNote
    about: _Text
    figures: Annotated[dict[str, ValidatedFigure], msgspec.Meta(max_length=1_000)]


def machine_note() -> MachineNote:
    """This machine."""
    return MachineNote(
        system=platform.system(),
        processor=platform.machine(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
    )


def moment_said(now: datetime) -> str:
    """A moment as records have it.

    >>> moment_said(datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC))
    '2026-03-01T04:05:06Z'
    """
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def validated(
    what: str, unit: Unit, worse: Worse, values: Sequence[float], *, basis: str, goal: Goal | None = None
) -> ValidatedFigure:
    """A figure from its runs. Raises NothingToMeasure: there are none."""
    if not values:
        raise NothingToMeasure(f"no run has a value for: {what}")
    return ValidatedFigure(
        what=what,
        unit=unit,
        worse=worse,
        mean=round(fmean(values), 6),
        sd=round(stdev(values), 6) if len(values) > 1 else 0.0,
        lowest=min(values),
        highest=max(values),
        runs=len(values),
        basis=basis,
        goal=goal,
    )


def worse_side(goal: Goal) -> Worse:
    """The side on which a figure with this goal is worse.

    >>> worse_side(Goal(least=0.5)), worse_side(Goal(most=3.0)), worse_side(Goal(least=0.1, most=0.2))
    ('less', 'more', 'other')
    """
    if goal.least is not None and goal.most is not None:
        return "other"
    return "less" if goal.most is None else "more"
