"""Points in time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar

import typer

from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.durations import DurationInvalid, milliseconds

Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="From then on: 7d (so long ago), 2025-08-26, 2025-08-26T14:00, UTC."),
]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Before then, written as --since is.")]


class MomentInvalid(InvalidRequest):
    """The text is no point in time."""

    code: ClassVar[str] = "NS_MOMENT_INVALID"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:40]!r} is no point in time; write how long ago (90s, 15m, 12h, 30d) "
            "or a date, perhaps with a time: 2025-08-26T14:00, which is UTC unless it says otherwise"
        )


def moment_of(text: str, *, now_ms: int) -> int:
    """Read a point in time, ms since epoch. Raises MomentInvalid.

    >>> moment_of("2h", now_ms=10_000_000), moment_of("1970-01-02", now_ms=0)
    (2800000, 86400000)
    """
    try:
        return now_ms - milliseconds(text)
    except DurationInvalid:
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError) as exc:
        raise MomentInvalid(text) from exc


def within(since: str | None, until: str | None, *, now_ms: int) -> tuple[int | None, int | None]:
    """Both ends of a time, where they are given. Raises MomentInvalid."""
    return (
        None if since is None else moment_of(since, now_ms=now_ms),
        None if until is None else moment_of(until, now_ms=now_ms),
    )
