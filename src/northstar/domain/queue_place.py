"""Where a waiting job stands in the queue, and in the words in which people are told."""

from __future__ import annotations

import msgspec

from northstar.domain.progress_text import printable


class QueuePlace(msgspec.Struct, frozen=True, kw_only=True):
    """A waiting job's place at one moment.

    `position` is 1 for the first of its lane: the jobs that ask for the same. `ahead_elsewhere` counts jobs of other lanes that
    come before it and can take the same machines. `machines` take work now and fit. `eta_s` is in about how many seconds a
    machine takes it, and in eight cases of ten it is from `eta_low_s` to `eta_high_s`; None when that cannot be known, and then
    `why` says why.
    """

    position: int
    ahead_elsewhere: int = 0
    machines: int = 0
    eta_s: float | None = None
    eta_low_s: float | None = None
    eta_high_s: float | None = None
    why: str = ""


def describe_place(place: QueuePlace) -> str:
    """The place in one line.

    >>> describe_place(QueuePlace(position=3, machines=1, eta_s=38.2))
    'queued (position 3, about 40 s)'
    >>> describe_place(QueuePlace(position=1, why="no machine is here"))
    'queued (position 1, time unknown: no machine is here)'
    """
    known = about(place.eta_s) if place.eta_s is not None else f"time unknown: {place.why}"
    elsewhere = f", {place.ahead_elsewhere} ahead that ask for something else" if place.ahead_elsewhere else ""
    return printable(f"queued (position {place.position}{elsewhere}, {known})")


def about(seconds: float) -> str:
    """A time that is not known any better.

    >>> [about(seconds) for seconds in (0.2, 7.4, 38.2, 250, 9_000)]
    ['about to start', 'about 7 s', 'about 40 s', 'about 4 min', 'about 2.5 h']
    """
    if seconds < 1:
        return "about to start"
    if seconds < 10:
        return f"about {seconds:.0f} s"
    if seconds < 100:
        return f"about {5 * round(seconds / 5)} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5_400 else f"about {seconds / 3_600:.1f} h"
