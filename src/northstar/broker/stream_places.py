"""How many streams of events one process holds open: in all, and for one key."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Final

from northstar.broker.event_errors import TooManyStreams

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_STREAMS: Final = 2_000
MOST_OF_KEY: Final = 200
#: Connections for streams that have not shown a key yet.
MOST_STRANGERS: Final = 200


class StreamPlaces:
    """Places for streams."""

    def __init__(self, *, most: int = MOST_STREAMS, most_of_key: int = MOST_OF_KEY) -> None:
        self._most = most
        self._most_of_key = most_of_key
        self._taken: Counter[str] = Counter()

    def expect(self, key_id: str) -> None:
        """Raises TooManyStreams: there is none for this key now."""
        if self._taken[key_id] >= self._most_of_key:
            raise TooManyStreams(self._most_of_key, whose="this key")
        if self._taken.total() >= self._most:
            raise TooManyStreams(self._most, whose="this broker")

    @contextlib.contextmanager
    def taken(self, key_id: str) -> Iterator[None]:
        """Take one for a key until the block ends. Raises TooManyStreams."""
        self.expect(key_id)
        self._taken[key_id] += 1
        try:
            yield
        finally:
            self._taken[key_id] -= 1
            if not self._taken[key_id]:
                del self._taken[key_id]
