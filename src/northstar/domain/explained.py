"""Explanations as programs get them: the facts, and the same in words, from one source for every surface."""

from __future__ import annotations

from typing import Literal, overload

import msgspec

from northstar.domain.explanation_text import explain
from northstar.domain.explanation_words import Line
from northstar.domain.explanations import JobExplanation, MachineExplanation, ModelExplanation


class ExplainedJob(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job is where it is, the most important line first."""

    kind: Literal["job"] = "job"
    explanation: JobExplanation
    lines: tuple[Line, ...]


class ExplainedMachine(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine does, or why it does nothing, or is not here."""

    kind: Literal["machine"] = "machine"
    explanation: MachineExplanation
    lines: tuple[Line, ...]


class ExplainedModel(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model is, and why not elsewhere."""

    kind: Literal["model"] = "model"
    explanation: ModelExplanation
    lines: tuple[Line, ...]


@overload
def explained(explanation: JobExplanation) -> ExplainedJob: ...
@overload
def explained(explanation: MachineExplanation) -> ExplainedMachine: ...
@overload
def explained(explanation: ModelExplanation) -> ExplainedModel: ...
def explained(
    explanation: JobExplanation | MachineExplanation | ModelExplanation,
) -> ExplainedJob | ExplainedMachine | ExplainedModel:
    """An explanation with its lines."""
    lines = tuple(explain(explanation))
    match explanation:
        case JobExplanation():
            return ExplainedJob(explanation=explanation, lines=lines)
        case MachineExplanation():
            return ExplainedMachine(explanation=explanation, lines=lines)
        case ModelExplanation():
            return ExplainedModel(explanation=explanation, lines=lines)
