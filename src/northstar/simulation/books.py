"""What the fleet has fetched, by file: a byte that came before is redundant."""

from __future__ import annotations


class FetchBooks:
    """Of one run. Only files that came whole count; what was thrown away counts as fetched and, if the file comes again, as redundant."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self.fetches = 0
        self.fetched_bytes = 0
        self.redundant = 0
        self.redundant_bytes = 0

    def fetched(self, name: str, size_bytes: int) -> None:
        """A machine has fetched a file."""
        self.fetches += 1
        self.fetched_bytes += size_bytes
        if name in self._known:
            self.redundant += 1
            self.redundant_bytes += size_bytes
        else:
            self._known.add(name)
