"""When a delivery that failed is tried again, and when it is given up."""

from __future__ import annotations

import email.utils
from typing import Final

#: Seconds from each failed attempt to the next: the schedule that Standard Webhooks suggests, ten attempts in three days.
PAUSES_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
MOST_ATTEMPTS: Final = len(PAUSES_S) + 1
#: Each pause is longer by up to this share of it, so that what failed together does not come back together.
JITTER: Final = 0.2
#: As long as a receiver may put us off.
MAX_RETRY_AFTER_S: Final = 86_400.0


def pause_ms(attempts: int, *, jitter: float, retry_after_s: float | None = None) -> int | None:
    """How long to wait after this many failed attempts; None: give up. `jitter` is a random number in [0, 1).

    A receiver that says when to come back is not asked before.

    >>> pause_ms(1, jitter=0.0), pause_ms(1, jitter=0.0, retry_after_s=60), pause_ms(10, jitter=0.0)
    (5000, 60000, None)
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    planned_s = PAUSES_S[max(0, attempts - 1)] * (1 + JITTER * jitter)
    return int(1000 * max(planned_s, retry_after_s or 0.0))


def retry_after_s(header: str | None, *, now_s: float) -> float | None:
    """Seconds that a `Retry-After` header asks for, a number or a date; bounded, and None for what is neither.

    >>> retry_after_s("120", now_s=0), retry_after_s("soon", now_s=0), retry_after_s("9" * 400, now_s=0)
    (120.0, None, 86400.0)
    """
    if header is None or len(header) > 512:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal():
        return min(MAX_RETRY_AFTER_S, float(text)) if len(text) < 16 else MAX_RETRY_AFTER_S
    try:
        at_s = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(MAX_RETRY_AFTER_S, max(0.0, at_s - now_s))
