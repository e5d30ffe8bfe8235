"""What the fleet has fetched, by file: a byte that came before is redundant."""

from __future__ import annotations

from typing import Final

from northstar.simulation.outcome import FetchedApart

_MINUTE_MS: Final = 60_000


class FetchBooks:
    """Of one run. Only files that came whole count; what was thrown away counts as fetched and, if the file comes again, as redundant."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self.fetches = 0
        self.fetched_bytes = 0
        self.redundant = 0
        self.redundant_bytes = 0
        #: Minute -> bytes and redundant bytes for no job. Bounded by the minutes of the simulation.
        self._apart: dict[int, tuple[int, int]] = {}

    def fetched(self, name: str, size_bytes: int) -> bool:
        """A machine has fetched a file; gives whether the fleet had fetched it before."""
        self.fetches += 1
        self.fetched_bytes += size_bytes
        if name not in self._known:
            self._known.add(name)
            return False
        self.redundant += 1
        self.redundant_bytes += size_bytes
        return True

    def came_apart(self, fetched_bytes: int, redundant_bytes: int, *, at_ms: int) -> None:
        """What has just come was for no job, or for none any more."""
        if fetched_bytes:
            before = self._apart.get(at_ms // _MINUTE_MS, (0, 0))
            self._apart[at_ms // _MINUTE_MS] = (before[0] + fetched_bytes, before[1] + redundant_bytes)

    def apart(self) -> tuple[FetchedApart, ...]:
        """All that came for no job, in time."""
        return tuple(FetchedApart(minute, *self._apart[minute]) for minute in sorted(self._apart))
