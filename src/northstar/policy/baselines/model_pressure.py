"""SwarmUI's rule: who has the model takes the job; else the model with the highest pressure is loaded onto one idle backend.

From mcmonkeyprojects/SwarmUI at 062407c7 (MIT), `src/Backends/BackendHandler.cs`: `T2IBackendRequest.TryFind`,
`ModelRequestPressure.Heuristic` and `LoadHighestPressureNow`. A backend has one current model (or, where it tells more, several), and takes a second job beside the first
where its `MaxUsages` say so. Only the model of the highest pressure is looked at: where it is too new for a choice between backends,
nothing is loaded, also not a model behind it. A model is loaded in one place at a time; different models load side by side. Where the
source leaves an order open (a concurrent dictionary), the older pressure and then the name decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class PressureRule(msgspec.Struct, frozen=True, kw_only=True):
    """Constants of the source, and its one setting."""

    #: So many seconds of waiting weigh as much as one more request.
    seconds_per_request: int = 10
    #: A model must be wanted longer than this before a backend is chosen for it, unless only one is free.
    patience_ms: int = 1_500
    #: `ModelLoadOrderPreference`: the backend that was released longest ago, or the first of the list.
    order: Literal["last_used", "first_free"] = "last_used"


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as this rule sees it."""

    id: str
    #: What it has loaded: one model in the source, whose backends tell no more; several on a machine that tells all it has in memory.
    models: frozenset[str]
    usages: int
    max_usages: int
    #: When a job of it began or ended last, ms.
    released_ms: int
    #: A model is being loaded, or it is kept for one: it takes nothing else.
    loading: bool = False

    @property
    def is_available(self) -> bool:
        """Whether it may take one more job."""
        return not self.loading and self.usages < self.max_usages


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A model that requests wait for which no free backend has: its pressure."""

    model: str
    requests: int
    #: When the first of those that wait came, ms.
    since_ms: int
    #: It is being loaded somewhere for them.
    loading: bool = False
    #: Backends that failed to load it.
    bad: frozenset[str] = frozenset()
    #: Backends that may serve all of its requests, and those that may serve some; None: every one.
    for_all: frozenset[str] | None = None
    for_some: frozenset[str] | None = None

    def pressure(self, now_ms: int, rule: PressureRule) -> int:
        """Ten for each request, and one for each full second since the first.

        >>> Wanted(model="a", requests=2, since_ms=0).pressure(1_999, PressureRule())
        21
        """
        return self.requests * rule.seconds_per_request + (now_ms - self.since_ms) // 1_000


class Load(NamedTuple):
    """A model that is to be loaded onto a backend now."""

    model: str
    backend: str


class NoLoad(NamedTuple):
    """Nothing is loaded now, and why."""

    because: str


def serving_backend(model: str, backends: Sequence[Backend]) -> Backend | None:
    """The free backend that has the model already: the least used, and of equals the first of the list."""
    having = [one for one in backends if one.is_available and model in one.models]
    return min(having, key=lambda one: one.usages, default=None)


def next_load(
    wanted: Sequence[Wanted], backends: Sequence[Backend], *, now_ms: int, rule: PressureRule
) -> Load | NoLoad:
    """What a look at the pressures starts at this moment: one load, or none."""
    loaders = sorted((one for one in backends if one.is_available), key=lambda one: one.usages)
    if not loaders:
        return NoLoad("no backend is free")
    free = frozenset(one.id for one in loaders)
    open_ = [one for one in wanted if not one.loading and _may(one.for_some, free)]
    perfect = [one for one in open_ if _may(one.for_all, free)]
    by_pressure = sorted(perfect or open_, key=lambda one: (-one.pressure(now_ms, rule), one.since_ms, one.model))
    if not by_pressure:
        return NoLoad("no model is wanted that is not being loaded")
    highest = by_pressure[0]
    if len(loaders) > 1 and now_ms - highest.since_ms <= rule.patience_ms:
        return NoLoad(f"the pressure of {highest.model} is too new")
    valid = [one for one in loaders if one.id not in highest.bad]
    if not valid:
        return NoLoad(f"every free backend has failed to load {highest.model}")
    valid = [one for one in valid if highest.model not in one.models]
    if not valid:
        return NoLoad(f"every free backend has {highest.model} already")
    unused = [one for one in valid if not one.usages] or valid
    chosen = unused[0] if rule.order == "first_free" else min(unused, key=lambda one: one.released_ms)
    return Load(highest.model, chosen.id)


def loads_now(
    wanted: Sequence[Wanted], backends: Sequence[Backend], *, now_ms: int, rule: PressureRule
) -> tuple[Load, ...]:
    """All loads that one pass over the waiting requests starts: each request has the pressures looked at once.

    A pass ends at the first look that starts nothing, since no later one of it would see anything else.
    """
    pressures, free = {one.model: one for one in wanted}, {one.id: one for one in backends}
    found: list[Load] = []
    for _ in range(sum(one.requests for one in wanted)):
        load = next_load(tuple(pressures.values()), tuple(free.values()), now_ms=now_ms, rule=rule)
        if isinstance(load, NoLoad):
            break
        found.append(load)
        pressures[load.model] = msgspec.structs.replace(pressures[load.model], loading=True)
        free[load.backend] = msgspec.structs.replace(free[load.backend], loading=True)
    return tuple(found)


def _may(backends: frozenset[str] | None, free: frozenset[str]) -> bool:
    return backends is None or bool(backends & free)
