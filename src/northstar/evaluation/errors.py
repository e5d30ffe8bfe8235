"""What an evaluation refuses, by name."""

from __future__ import annotations

from typing import ClassVar

from northstar.domain.errors import InvalidRequest, Unavailable


class NothingToMeasure(InvalidRequest):
    """A figure would be a share of nothing."""

    code: ClassVar[str] = "NS_NOTHING_TO_MEASURE"

    def __init__(self, what: str) -> None:
        super().__init__(f"there is nothing to measure: {what}; take a longer window, or leave the figure out")


class MeasurementImpossible(InvalidRequest):
    """A figure is given a value that it cannot have, or none."""

    code: ClassVar[str] = "NS_MEASUREMENT_IMPOSSIBLE"

    def __init__(self, figure: str, why: str) -> None:
        super().__init__(f"figure {figure}: {why}; look at the run that it came from")
        self.figure = figure


class UnknownFigure(InvalidRequest):
    """Something was measured that no target speaks of."""

    code: ClassVar[str] = "NS_UNKNOWN_FIGURE"

    def __init__(self, figure: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no target has a figure {figure!r}; there are {', '.join(known)}")
        self.figure = figure


class ResultsUnreadable(InvalidRequest):
    """A file of results or a scorecard is missing, too large, or not what this version writes."""

    code: ClassVar[str] = "NS_RESULTS_UNREADABLE"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


class ReportImpossible(Unavailable):
    """The page cannot be made, since what fills its template is not installed."""

    code: ClassVar[str] = "NS_REPORT_IMPOSSIBLE"

    def __init__(self) -> None:
        super().__init__("the page needs Jinja, which is not installed: pip install northstar-broker[serve]")
