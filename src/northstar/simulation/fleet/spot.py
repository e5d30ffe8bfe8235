"""Spot machines as a recorded series has them: when which node of it is there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from northstar.domain.misfits import alike
from northstar.simulation.fleet.errors import NoSuchSpotSeries
from northstar.simulation.workload.spot_series import SpotSeries, spot_series

#: Later than anything that is simulated.
FOREVER_MS: Final = 10**15
#: Names that an error lists.
_MOST_LISTED: Final = 20


class Interval(NamedTuple):
    """From when to when something holds, milliseconds."""

    from_ms: int
    until_ms: int


def read_series(file: Path, name: str) -> SpotSeries:
    """One series of a file, by its whole name.

    Raises:
        NoSuchSpotSeries: the file has none of that name. What `spot_series` raises: the file cannot be used.
    """
    found = {f"{one.kind}/{one.experiment}/{one.name}": one for one in spot_series(file)}
    if name not in found:
        near = alike(name, list(found))
        hint = f"did you mean {near}?" if near else f"it has {', '.join(itertools.islice(found, _MOST_LISTED))}"
        raise NoSuchSpotSeries(file, name=name, hint=hint)
    return found[name]


def there(series: SpotSeries, *, node: int, skip_ms: int = 0) -> Iterator[Interval]:
    """When node number `node` (from 0) can be had, from the moment `skip_ms` of the series on, which becomes 0; without an end.

    A node is there while the series counts more nodes than its number, so the first is there longest. The series begins anew at its end.
    A node that the series never counts is never there, and one that it always counts is there for ever.
    """
    if node >= series.most:
        return
    if all(stretch.machines > node for stretch in series.stretches):
        yield Interval(0, FOREVER_MS)
        return
    at_ms = -(skip_ms % (series.seconds * 1_000))
    begun: int | None = None
    for stretch in itertools.cycle(series.stretches):
        if stretch.machines > node:
            begun = at_ms if begun is None else begun
        elif begun is not None:
            if at_ms > 0:
                yield Interval(max(0, begun), at_ms)
            begun = None
        at_ms += stretch.seconds * 1_000
