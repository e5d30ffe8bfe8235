"""What the lines of all explanations are made of: lengths of time, moments, counted things, fetches and things to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from northstar.domain.progress_text import bytes_text, printable
from northstar.domain.reason_text import describe_of_machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from northstar.domain.explanations import Action, LaneDemand, ModelFetch


class Line(msgspec.Struct, frozen=True):
    """One line: what it is about, and the sentence. Several lines in a row may be about the same."""

    about: str
    text: str


def length(seconds: float) -> str:
    """A length of time in its handiest unit.

    >>> [length(seconds) for seconds in (0.42, 42, 150, 9_000)]
    ['0.4 s', '42 s', '2.5 min', '2.5 h']
    """
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def moment(at_ms: int) -> str:
    """A time of the cell's clock, UTC.

    >>> moment(1_700_000_000_123)
    '2023-11-14 22:13:20 UTC'
    """
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def counted(count: int, thing: str) -> str:
    """A number of things.

    >>> counted(1, "job"), counted(0, "job")
    ('1 job', '0 jobs')
    """
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def fetch_lines(fetches: Iterable[ModelFetch], *, now_ms: int) -> Iterator[Line]:
    """Fetches that are under way or ordered."""
    for fetch in fetches:
        since = length(max(0, now_ms - fetch.since_ms) / 1000)
        size = f" ({bytes_text(fetch.size_bytes)})" if fetch.size_bytes else ""
        what = printable(f"{fetch.model}{size}")
        if not fetch.expected_ms:
            yield Line("fetch", f"{what} was ordered to {fetch.machine} {since} ago and has not begun ({fetch.order})")
        elif fetch.expected_ms >= now_ms:
            left = length((fetch.expected_ms - now_ms) / 1000)
            yield Line("fetch", f"{what} comes to {fetch.machine}: for {since} already, about {left} more")
        else:
            late = length((now_ms - fetch.expected_ms) / 1000)
            yield Line("fetch", f"{what} comes to {fetch.machine}: for {since} already, {late} longer than expected")


def action_lines(actions: Iterable[Action]) -> Iterator[Line]:
    """Things to do."""
    for action in actions:
        yield Line("to do", printable(f"{action.what}: {action.command}"))


def lane_text(lane: LaneDemand) -> str:
    """Jobs that ask for the same.

    >>> from northstar.domain.explanations import LaneDemand
    >>> lane_text(LaneDemand(service="picture", pool="heavy", models=("flux",), waiting=3, unfinished=5))
    'picture with flux in pool heavy: 3 of 5 jobs wait'
    """
    models = f" with {', '.join(lane.models)}" if lane.models else ""
    wait = "waits" if lane.unfinished == 1 else "wait"
    jobs = f"{lane.waiting} of {counted(lane.unfinished, 'job')} {wait}"
    because = f"; {describe_of_machine(lane.reason)}" if lane.reason is not None else ""
    return printable(f"{lane.service}{models} in pool {lane.pool}: {jobs}{because}")
