"""Lengths of time as people write them."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from northstar.domain.errors import InvalidRequest

_TEXT: Final = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class DurationInvalid(InvalidRequest):
    """The text is no length of time."""

    code: ClassVar[str] = "NS_DURATION_INVALID"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:40]!r} is no length of time; write a whole number and a unit: 90s, 15m, 12h or 30d")


def milliseconds(text: str) -> int:
    """Read a length of time. Raises DurationInvalid.

    >>> milliseconds("15m"), milliseconds("2d")
    (900000, 172800000)
    """
    found = _TEXT.fullmatch(text.strip().lower())
    if found is None:
        raise DurationInvalid(text)
    return int(found[1]) * _MS[found[2]]
