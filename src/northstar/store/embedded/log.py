"""The server's log: bounded, and read for the reason when something goes wrong."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final

_TAIL_BYTES: Final = 16 * 1024
_REASON_LINES: Final = 3
_REASON_CHARS: Final = 600
#: Warnings that stand in every log and never are the reason of an end.
_NOISE: Final = re.compile(
    r"overcommit|Transparent Huge|somaxconn|no config file specified|oO0OoO|ready to exit", re.IGNORECASE
)
#: `1234:M 23 Nov 2026 11:04:52.506 # sentence`; `#` is the level "warning".
_LINE: Final = re.compile(r"^\d+:\S+ .*? (?P<level>[-.*#]) (?P<sentence>.*)$")


class ServerLog:
    """One log file and its predecessor. The server opens the file anew for every line, so it may be moved at any time."""

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self.path = path
        self._limit_bytes = limit_bytes
        self._mark = 0

    def mark(self) -> None:
        """Remember the end of the file: what follows belongs to the next start."""
        self.rotate()
        self._mark = self._size()

    def rotate(self) -> None:
        """Move the file aside when it is over its limit, dropping the one before."""
        if self._size() > self._limit_bytes:
            with contextlib.suppress(OSError):  # a full disk must not end the supervision
                os.replace(self.path, self.path.with_name(self.path.name + ".1"))  # noqa: PTH105 -- one word for both
                self._mark = 0

    def reason(self, *, secrets: tuple[str, ...] = ()) -> str:
        """What the server itself said about its end: its last warnings, or else its last line; '' if it said nothing."""
        warnings: list[str] = []
        others: list[str] = []
        for line in self._tail().splitlines():
            match = _LINE.match(line)
            sentence = match["sentence"].strip() if match else line.strip()
            if not sentence or _NOISE.search(sentence):
                continue
            (others if match and match["level"] != "#" else warnings).append(sentence)
        said = "; ".join((warnings or others[-1:])[-_REASON_LINES:])[-_REASON_CHARS:]
        for secret in secrets:
            said = said.replace(secret, "***")
        return said

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def _tail(self) -> str:
        try:
            with self.path.open("rb") as file:
                size = self._size()
                file.seek(max(self._mark if self._mark <= size else 0, size - _TAIL_BYTES))
                return file.read(_TAIL_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""
