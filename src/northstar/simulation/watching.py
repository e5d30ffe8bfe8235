"""Whoever looks on while a simulation goes: what the broker decided of each job, and which models machines hold, every so often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from northstar.domain.decisions import RoutingDecision


class Watch(Protocol):
    """Changes nothing of a run: it is only told."""

    @property
    def every_ms(self) -> int:
        """How often it looks at what machines hold; more than 0."""
        ...

    def admits(self, number: int, decision: RoutingDecision | None) -> None:
        """The broker took this job, by its number, and decided so."""
        ...

    def sees(self, now_ms: int, held: Mapping[str, Mapping[str, int]]) -> None:
        """Machines that are up -> the models that they hold -> their bytes."""
        ...
