"""What the gate refuses, by name."""

from __future__ import annotations

from typing import ClassVar

from northstar.domain.errors import InvalidRequest


class GateLimitsUnreadable(InvalidRequest):
    """A file of limits is missing, too large, not what this version writes, or not what follows from its own runs."""

    code: ClassVar[str] = "NS_GATE_LIMITS_UNREADABLE"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


class GateUnknownScenario(InvalidRequest):
    """The gate has no scenario of this name."""

    code: ClassVar[str] = "NS_GATE_UNKNOWN_SCENARIO"

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"the gate has no scenario {name!r}; there are {', '.join(known)}")
        self.name = name


class GateTooFewRuns(InvalidRequest):
    """Limits would follow from too few runs to know a spread."""

    code: ClassVar[str] = "NS_GATE_TOO_FEW_RUNS"

    def __init__(self, seeds: int, least: int) -> None:
        super().__init__(f"{seeds} seeds say too little of how far runs lie apart; take at least {least}")
