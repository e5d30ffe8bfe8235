"""Finished runs on their way from machines to the estimator of durations, as the history would have them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from northstar.domain.estimates import FinishedRun


class RunsSeen:
    """A source for `broker.durations.Durations`. What was learned is forgotten here."""

    def __init__(self) -> None:
        self._runs: deque[FinishedRun] = deque()
        self._given = 0

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: FinishedRun) -> None:
        """A run has ended."""
        self._runs.append(run)

    async def cursor_before_last(self, count: int) -> str:  # noqa: ARG002 -- nothing has run before
        """The beginning."""
        return "0"

    async def finished_runs(self, after: str, count: int) -> tuple[list[FinishedRun], str]:  # noqa: ARG002
        """The next of them; each is given once."""
        found = [self._runs.popleft() for _ in range(min(count, len(self._runs)))]
        self._given += len(found)
        return found, str(self._given)
