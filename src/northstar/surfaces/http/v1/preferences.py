"""`Prefer: wait=N` (RFC 7240): how long a client would rather wait for the end of a job than ask again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from northstar.broker.job_waits import LONGEST_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.connection import ASGIConnection

_WAIT: Final = re.compile(r'wait\s*=\s*"?(\d{1,9})"?\s*(;.*)?', re.IGNORECASE | re.ASCII)


def wait_s(preferences: Iterable[str]) -> int:
    """Seconds that a client would wait, at most 60; 0 where it says nothing that can be understood, which the RFC has be passed over.

    >>> wait_s(["respond-async, wait=10"]), wait_s(["wait=3600"]), wait_s(["wait=soon", "return=minimal"])
    (10, 60, 0)
    """
    for one in ",".join(preferences).split(","):
        found = _WAIT.fullmatch(one.strip())
        if found:
            return min(int(found[1]), LONGEST_S)
    return 0


def preferred_wait_s(connection: ASGIConnection[Any, Any, Any, Any]) -> int:
    """As `wait_s`, of what a client asks."""
    return wait_s(connection.headers.getall("prefer", []))


def applied(seconds: int) -> dict[str, str]:
    """What is said of a preference that was met."""
    return {"Preference-Applied": f"wait={seconds}"}
