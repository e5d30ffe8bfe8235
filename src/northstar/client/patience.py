"""How often a call is repeated that may be repeated, and how long to pause before each time."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """A call is repeated while less than `total_s` have passed since it began, with pauses that double up to `longest_s`."""

    total_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    first_s: Annotated[float, msgspec.Meta(gt=0)] = 0.2
    longest_s: Annotated[float, msgspec.Meta(gt=0)] = 8.0

    def pause_s(self, tries: int, *, passed_s: float, jitter: float, asked_s: float | None) -> float | None:
        """Seconds until the next try after so many, `passed_s` into the call; None: give up.

        What the server asked for counts when it is longer; `jitter` in [0, 1) is random, and spreads a crowd that failed together
        over half of the pause (Brooker, "Exponential Backoff and Jitter", 2015).
        """
        own_s = min(self.longest_s, self.first_s * 2.0 ** min(tries - 1, 30)) * (0.5 + jitter / 2)
        pause_s = max(own_s, asked_s or 0.0)
        return None if passed_s + pause_s > self.total_s else pause_s
