"""Lengths of time in files that people write: a whole number and a unit."""

from __future__ import annotations

import re
from typing import Any, Final

from northstar.domain.amounts import length

_TEXT: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
#: As long as anything in a simulation may be: ten years.
_LONGEST_MS: Final = 3_650 * 86_400_000


class Length:
    """A length of time, in milliseconds; written as `90s`, `15m`, `12h` or `30d`."""

    __slots__ = ("ms",)

    def __init__(self, ms: int) -> None:
        self.ms = ms

    @classmethod
    def of(cls, text: str) -> Length:
        """Read one.

        Raises:
            ValueError: it is none, or longer than ten years.

        >>> Length.of("15m").ms, str(Length.of("2d"))
        (900000, '2 d')
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ValueError(
                f"{text[:40]!r} is no length of time; write a whole number and a unit: 90s, 15m, 12h or 30d"
            )
        ms = int(found[1]) * _MS[found[2]]
        if ms > _LONGEST_MS:
            raise ValueError(f"{text[:40]} is longer than {length(_LONGEST_MS)}")
        return cls(ms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Length) and other.ms == self.ms

    def __hash__(self) -> int:
        return hash(self.ms)

    def __str__(self) -> str:
        return length(self.ms)

    def __repr__(self) -> str:
        return f"Length({self.ms})"


def length_hook(kind: type, value: Any) -> Any:
    """How msgspec reads a `Length` in data; gives up on any other type.

    Raises:
        ValueError: it is no length of time. NotImplementedError: another type is asked for.
    """
    if kind is not Length:
        raise NotImplementedError(kind)
    if isinstance(value, Length):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no length of time; write a whole number and a unit: 90s, 15m, 12h or 30d")  # noqa: TRY004 -- msgspec tells the place of these alone
    return Length.of(value)
