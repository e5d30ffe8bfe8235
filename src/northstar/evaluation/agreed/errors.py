"""What an evaluation by agreed scenarios refuses, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from northstar.domain.errors import InvalidRequest, Refused
from northstar.domain.misfits import alike

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class UnknownAgreed(InvalidRequest):
    """There is no agreed scenario, or no set of them, of this name."""

    code: ClassVar[str] = "NS_UNKNOWN_AGREED_SCENARIO"

    def __init__(self, what: str, name: str, known: Sequence[str]) -> None:
        near = alike(name, list(known))
        hint = f"; did you mean {near}?" if near else ""
        super().__init__(f"there is no {what} {name!r}, but {', '.join(known)}{hint}")
        self.name = name


class AgreedImpossible(InvalidRequest):
    """An agreed scenario's `evaluation` cannot be followed."""

    code: ClassVar[str] = "NS_AGREED_SCENARIO_IMPOSSIBLE"

    def __init__(self, scenario: str, figure: str, why: str) -> None:
        super().__init__(f"{scenario}: `evaluation.feeds.{figure}` {why}")
        self.scenario = scenario
        self.figure = figure


class TracesMissing(InvalidRequest):
    """Scenarios replay traces that are not there, and no other scenario is left to run."""

    code: ClassVar[str] = "NS_TRACES_MISSING"

    def __init__(self, lacking: Sequence[str], folder: Path | None) -> None:
        where = "nobody said where traces are" if folder is None else f"{folder} lacks some of them"
        super().__init__(
            f"nothing can be run: {where} ({', '.join(lacking)}); name their folder with --traces DIR or NORTHSTAR_TRACES, or take --set small"
        )
        self.lacking = tuple(lacking)


class ResultsExist(Refused):
    """The file of results is there already, and nobody said what is to become of it."""

    code: ClassVar[str] = "NS_RESULTS_EXIST"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is there already: add --resume to go on with it, or name another file with --out")
        self.path = path


class ResultsDiffer(Refused):
    """The file of results has runs of another scenario or version, which are not this one's."""

    code: ClassVar[str] = "NS_RESULTS_DIFFER"

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}; name another file with --out, or begin anew without --resume")
        self.path = path
