"""Spot machines as they were to be had: availability and preemption series, two to 45 days each (Wu et al., NSDI '24)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from northstar.simulation.workload.errors import TraceEmpty, TraceRowInvalid
from northstar.simulation.workload.table import json_document_of

if TYPE_CHECKING:
    from pathlib import Path

_Machines = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
_Samples = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]


class Stretch(msgspec.Struct, frozen=True):
    """For how long so many machines were to be had."""

    machines: int
    seconds: int


class SpotSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One zone and machine type."""

    #: `availability`: how many could be had when asked; `preemption`: how many of those that ran were still there.
    kind: Literal["availability", "preemption"]
    #: The experiment, such as `1-node/aws-02-15-2023`.
    experiment: str
    #: Zone and machine type, such as `us-east-1a_v100_1`.
    name: str
    #: Seconds between two samples.
    gap_s: int
    stretches: tuple[Stretch, ...]

    @property
    def seconds(self) -> int:
        """How long it is."""
        return sum(one.seconds for one in self.stretches)

    @property
    def most(self) -> int:
        """The most machines at any time."""
        return max(one.machines for one in self.stretches)

    def up_times_s(self) -> tuple[int, ...]:
        """How long machines were there at a stretch: each time from when there was at least one to when there was none."""
        runs, now = [], 0
        for one in self.stretches:
            if one.machines:
                now += one.seconds
            elif now:
                runs.append(now)
                now = 0
        return (*runs, now) if now else tuple(runs)


class _Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gap_seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)]
    #: Pairs of value and how many samples have it.
    rle: Annotated[tuple[tuple[_Machines, _Samples], ...], msgspec.Meta(min_length=1)]


def spot_series(path: Path) -> tuple[SpotSeries, ...]:
    """All series by their names. Raises what `json_document_of` does, TraceEmpty, and TraceRowInvalid for a name of another form."""
    found = json_document_of(path, dict[str, _Series])
    if not found:
        raise TraceEmpty(path)
    return tuple(_series(path, name, found[name]) for name in sorted(found))


def _series(path: Path, name: str, series: _Series) -> SpotSeries:
    kind, _, rest = name.partition("/")
    experiment, _, zone = rest.rpartition("/")
    if kind not in {"availability", "preemption"} or not experiment or not zone:
        raise TraceRowInvalid(
            path,
            line=1,
            column=name,
            found="the name of the series",
            expected="availability|preemption/EXPERIMENT/ZONE",
        )
    return SpotSeries(
        kind="availability" if kind == "availability" else "preemption",
        experiment=experiment,
        name=zone,
        gap_s=series.gap_seconds,
        stretches=tuple(Stretch(machines, samples * series.gap_seconds) for machines, samples in series.rle),
    )
