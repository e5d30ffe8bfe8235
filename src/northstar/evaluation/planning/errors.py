"""What cannot be planned, by name."""

from __future__ import annotations

from typing import ClassVar

from northstar.domain.errors import InvalidRequest


class InvalidGoal(InvalidRequest):
    """A goal is not what goals are."""

    code: ClassVar[str] = "NS_INVALID_GOAL"

    def __init__(self, goal: str, problem: str) -> None:
        super().__init__(f"goal {goal[:80]!r}: {problem}")
        self.goal = goal
        self.problem = problem


class GoalImpossible(InvalidRequest):
    """No number of machines meets a goal, since the work alone takes longer."""

    code: ClassVar[str] = "NS_GOAL_IMPOSSIBLE"

    def __init__(self, goal: str, why: str) -> None:
        super().__init__(f"no fleet meets {goal}: {why}")
        self.goal = goal
        self.why = why


class NoMachineFits(InvalidRequest):
    """There is work, and none of the machines that may be had can do it."""

    code: ClassVar[str] = "NS_NO_MACHINE_FITS"

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"no machine that may be had fits {what}: {why}")
        self.what = what
        self.why = why


class MachineWithoutPrice(InvalidRequest):
    """A machine has no price, so nobody can say which fleet is the cheapest."""

    code: ClassVar[str] = "NS_MACHINE_WITHOUT_PRICE"

    def __init__(self, machine: str, hint: str) -> None:
        super().__init__(f"{machine} has no price; {hint}")
        self.machine = machine


class PlanOptions(InvalidRequest):
    """Options of a plan do not go together, or one of them cannot be."""

    code: ClassVar[str] = "NS_PLAN_OPTIONS"
