"""Records of validations as tests need them."""

from __future__ import annotations

from collections.abc import Sequence

from northstar.evaluation.gate.figures import Worse
from northstar.evaluation.targets import Goal
from northstar.evaluation.validation.record import MachineNote, ValidatedFigure, ValidationRecord, validated

MACHINE = MachineNote(system="Linux", processor="x86_64", cores=2, python="3.11.7")


def figure(*values: float, worse: Worse = "more", goal: Goal | None = None, basis: str = "the same") -> ValidatedFigure:
    """A figure in seconds."""
    return validated("some time", "s", worse, values, basis=basis, goal=goal)


def record(day: int, **figures: ValidatedFigure) -> ValidationRecord:
    """What a validation of that day found."""
    return ValidationRecord(
        kind="weekly",
        at=f"2026-03-{day:02}T04:00:00Z",
        northstar="1.2.3",
        machine=MACHINE,
        about="some runs",
        figures=figures,
    )


def records(*found: ValidatedFigure) -> Sequence[ValidationRecord]:
    """One record for each, a week apart or less."""
    return [record(day, wait=one) for day, one in enumerate(found, start=1)]
