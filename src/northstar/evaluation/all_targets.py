"""All rows in the order in which they are read."""

from __future__ import annotations

from typing import Final

from northstar.evaluation.errors import UnknownFigure
from northstar.evaluation.model_targets import MODEL_TARGETS
from northstar.evaluation.prediction_targets import PREDICTION_TARGETS
from northstar.evaluation.scale_targets import SCALE_TARGETS
from northstar.evaluation.service_targets import SERVICE_TARGETS
from northstar.evaluation.targets import Figure, Target

ALL_TARGETS: Final[tuple[Target, ...]] = (*SERVICE_TARGETS, *SCALE_TARGETS, *MODEL_TARGETS, *PREDICTION_TARGETS)
FIGURES: Final[dict[str, Figure]] = {figure.id: figure for target in ALL_TARGETS for figure in target.figures}


def figure_of(name: str) -> Figure:
    """The figure of this id. Raises UnknownFigure."""
    if name not in FIGURES:
        raise UnknownFigure(name, tuple(FIGURES))
    return FIGURES[name]
