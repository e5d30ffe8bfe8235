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
