"""What can be wrong with a fleet and with what befalls it, beside the shape of its description."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from northstar.domain.errors import InvalidRequest


class PlanImpossible(InvalidRequest):
    """A scenario contradicts itself, or asks for a fleet or a fault that cannot be. `path` is the key at which the problem stands, as `fleet.groups[0].kind`."""

    code: ClassVar[str] = "NS_SCENARIO_IMPOSSIBLE"

    def __init__(self, problem: str, *, path: str, where: str = "") -> None:
        """`where` is the file and line, with a colon behind it, once somebody knows them."""
        super().__init__(f"{where}`{path}` {problem}")
        self.problem = problem
        self.path = path
        self.where = where


class NoSuchSpotSeries(InvalidRequest):
    """A file of spot series has none of the name that a group says."""

    code: ClassVar[str] = "NS_NO_SUCH_SPOT_SERIES"

    def __init__(self, file: Path, *, name: str, hint: str) -> None:
        super().__init__(f"{file} has no series {name}; {hint}")
        self.file = file
        self.name = name


class NoSuchPrice(PlanImpossible):
    """A kind of machine names a price that the price table does not have, or has not for machines that may be taken away."""

    code: ClassVar[str] = "NS_NO_SUCH_PRICE"
