"""How fast a fetch may be, how slow it must not be, and when to try again."""

from __future__ import annotations

import msgspec


class Bucket(msgspec.Struct, frozen=True):
    """A token bucket that may go into debt: who takes more than there is waits afterwards."""

    #: Bytes in it at `at_s`; negative while it is in debt.
    level: float = 0.0
    at_s: float = 0.0


def take(bucket: Bucket, taken_bytes: int, *, rate: float, burst_bytes: float, now_s: float) -> tuple[Bucket, float]:
    """The bucket after so many bytes were taken, and the seconds to wait before the next; `rate` in bytes a second, 0 is free.

    >>> bucket, wait_s = take(Bucket(), 150, rate=100.0, burst_bytes=50.0, now_s=1.0)
    >>> wait_s
    1.0
    """
    if rate <= 0:
        return Bucket(0.0, now_s), 0.0
    filled = min(burst_bytes, bucket.level + max(0.0, now_s - bucket.at_s) * rate)
    level = filled - taken_bytes
    # Less than a byte of debt is the rounding of the clock, and no sleep is short enough for it.
    return Bucket(level, now_s), -level / rate if level <= -1 else 0.0


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """What is borne from a source."""

    #: Seconds until a connection stands.
    connect_s: float = 15.0
    #: Seconds without a byte after which a fetch counts as stalled.
    stall_s: float = 30.0
    #: Bytes a second that a fetch must reach on the average, after `grace_s` seconds.
    least_bytes_per_s: float = 100_000.0
    grace_s: float = 60.0
    #: Tries for each source of an order.
    attempts: int = 4
    backoff_s: float = 1.0
    backoff_cap_s: float = 60.0

    def longest_s(self, size_bytes: int) -> float:
        """Seconds that a fetch of so many bytes may take."""
        return self.grace_s + size_bytes / self.least_bytes_per_s

    def is_too_slow(self, received_bytes: int, *, elapsed_s: float) -> bool:
        """Whether a fetch that has come so far in that time will miss its deadline if it goes on like this."""
        return elapsed_s > self.longest_s(received_bytes)

    def pause_s(self, attempt: int, *, wish_s: float | None, jitter: float) -> float:
        """Seconds before the next try after `attempt` (from 1) failed; `jitter` from 0 to 1; a source's wish is heeded up to the cap."""
        pause_s = self.backoff_s * 2.0 ** (attempt - 1) * (0.5 + jitter / 2)
        return min(self.backoff_cap_s, max(pause_s, wish_s or 0.0))
