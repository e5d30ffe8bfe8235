"""Whoever looks on while a simulation goes: what the broker decided of each job, and which models machines hold, every so often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


class Lookout:
    """Has a watch look at what machines hold, each time that its time has come. Without a watch nobody looks."""

    def __init__(self, watch: Watch | None, held: Callable[[], Mapping[str, Mapping[str, int]]]) -> None:
        self._watch = watch
        self._held = held
        self._next_ms = 0

    def time_passes(self, to_ms: int) -> None:
        """Nothing changes until this moment, so whoever looks before it sees what is there now."""
        if self._watch is None or self._next_ms > to_ms:
            return
        held = self._held()
        while self._next_ms <= to_ms:
            self._watch.sees(self._next_ms, held)
            self._next_ms += self._watch.every_ms

    def admits(self, number: int, decision: RoutingDecision | None) -> None:
        """The broker took this job."""
        if self._watch is not None:
            self._watch.admits(number, decision)
