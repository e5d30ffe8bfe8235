"""From the pool that the matrix wants to the pool in which the job waits (spec, chart: "Model Available?", "Cross-Pool Feasible?").

The rule, in this order:

1. A guaranteed job stays, whatever is free elsewhere; so does one whose submitter named the pool.
2. A machine of the wanted pool fits and holds the models: the job goes there.
3. One fits and can fetch what it lacks within `fetch_within_s`: there too, and the fetch is ordered. A short fetch is worth the right pool.
4. Otherwise a *holder* in a pool of the fallback list is taken if one has a free slot: the models are there already.
5. Otherwise the wanted pool, if a machine of it fits, however long the fetch.
6. Otherwise the first pool of the fallback list in which a machine fits.
7. Otherwise it waits in the wanted pool.

A pool of the list counts only if it takes such work, is in use for this job, is not exclusive, and has more free slots than it reserves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from northstar.domain.decisions import NO_MACHINE, Rejection, Route
from northstar.domain.pools import UNIFORM
from northstar.policy.routing.introduction import is_introduced
from northstar.policy.routing.pool_acceptance import Objection, objections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from northstar.domain.decisions import PoolChoice
    from northstar.domain.job_profiles import JobProfile
    from northstar.domain.pools import Pools, PoolSpec

_Count = Annotated[int, msgspec.Meta(ge=0)]
_SENTENCE_CHARS: Final = 400


class PoolCapacity(msgspec.Struct, frozen=True, kw_only=True):
    """The machines of a pool, as one job sees them. Only those count that may run it by region, isolation and dedication."""

    #: Machines that are there at all; that fit the job; and of these, that hold all its models.
    machines: _Count = 0
    fit: _Count = 0
    holders: _Count = 0
    #: Slots of all machines of the pool, and those that are free; free ones of machines that fit, and of holders.
    slots: _Count = 0
    free: _Count = 0
    free_fit: _Count = 0
    free_holders: _Count = 0
    #: Seconds in which the quickest machine that fits could have fetched what it lacks; None: nobody knows from where.
    fetch_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    #: Machines that fit, keep no models folder, and are not known to hold all its models: their engines must have them, and do not say;
    #: and those whose engines name other models (`model_supply`).
    engine_may_have: _Count = 0
    engine_names_others: _Count = 0
    #: What keeps the machine that comes closest from fitting, as a part of a sentence.
    nearest_lacks: str = ""

    @property
    def can_be_brought(self) -> bool:
        """Whether no machine that fits holds all its models, and to some of them they could be brought."""
        return not self.holders and self.fit > self.engine_may_have + self.engine_names_others


NO_CAPACITY: Final = PoolCapacity()


class FallbackRule(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the rule."""

    #: A fetch of so many seconds is waited for in the wanted pool although another has the models; the cap of a machine's patience.
    fetch_within_s: float = 30.0


class PoolRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Where a job waits."""

    pool: str
    route: Route
    because: str
    #: Pools that were passed over on the way from the wanted one.
    rejected: tuple[Rejection, ...] = ()
    #: Whether models are to be brought to the pool (spec, chart: "Trigger Model Deployment").
    deploys: bool = False


def route_to_pool(
    job: JobProfile,
    choice: PoolChoice,
    pools: Pools,
    capacity: Mapping[str, PoolCapacity],
    rule: FallbackRule | None = None,
    *,
    given: Callable[[str], int] = lambda _: 0,
) -> PoolRoute:
    """Decide for a job of which the matrix has said `choice`; a pool that is not in `capacity` has no machines.

    `given` says of how many slots of a pool somebody has already that `capacity` calls free.
    """
    here = capacity.get(choice.pool, NO_CAPACITY)
    if choice.guaranteed or choice.row == "asked" or choice.pool == UNIFORM:
        return _staying(choice, here)
    within_s = (rule or FallbackRule()).fetch_within_s
    if here.holders or (here.fit and here.fetch_s is not None and here.fetch_s <= within_s):
        return _wanted(choice, here)
    there = {name: _left(capacity.get(name, NO_CAPACITY), given(name)) for name in pools.pools[choice.pool].fallback}
    open_pools, closed = _fallbacks(there, job, pools)
    refused = (_why_not_here(choice.pool, here, within_s=within_s), *closed)
    holder = next((name for name in open_pools if there[name].free_holders), None)
    if holder is not None:
        return _fallback(holder, there[holder], refused, because=f"{holder} has a free machine{_holding(job)}")
    if here.fit:
        return _wanted(choice, here, rejected=closed)
    if open_pools:
        first = open_pools[0]
        return _fallback(
            first,
            there[first],
            refused,
            because=f"{first} is the first of its fallbacks in which a machine fits",
        )
    return _waiting(choice, refused)


def _fallbacks(
    there: Mapping[str, PoolCapacity], job: JobProfile, pools: Pools
) -> tuple[list[str], tuple[Rejection, ...]]:
    """Of the fallbacks of a pool those that can have the job, in their order, and why the others cannot."""
    feasible: list[str] = []
    closed: list[Rejection] = []
    for name, capacity in there.items():
        against = next(_against(name, pools.pools[name], job, capacity), None)
        if against is None:
            feasible.append(name)
        else:
            closed.append(Rejection(subject=name, code=against.code, reason=against.sentence[:_SENTENCE_CHARS]))
    return feasible, tuple(closed)


def _left(capacity: PoolCapacity, given: int) -> PoolCapacity:
    """What is left where so many of its free slots are somebody's by now. Nobody knows which, so they may be those of any machine."""
    if not given:
        return capacity
    return msgspec.structs.replace(
        capacity,
        free=max(0, capacity.free - given),
        free_fit=max(0, capacity.free_fit - given),
        free_holders=max(0, capacity.free_holders - given),
    )


def _staying(choice: PoolChoice, here: PoolCapacity) -> PoolRoute:
    """Of a job that goes nowhere else."""
    if not here.fit:
        return _waiting(choice, ())
    if choice.pool == UNIFORM:
        return PoolRoute(pool=UNIFORM, route="uniform", because=choice.because, deploys=here.can_be_brought)
    route: Route = "matrix" if choice.guaranteed else "pinned"
    return PoolRoute(pool=choice.pool, route=route, because=choice.because, deploys=here.can_be_brought)


def _wanted(choice: PoolChoice, here: PoolCapacity, *, rejected: tuple[Rejection, ...] = ()) -> PoolRoute:
    fetch = "" if here.holders else "; no machine there keeps models, so its engine must have them"
    if here.can_be_brought:
        fetch = f"; its models are brought there{_fetch_time(here)}"
    return PoolRoute(
        pool=choice.pool,
        route="matrix",
        because=f"{choice.because}{fetch}",
        rejected=rejected,
        deploys=here.can_be_brought,
    )


def _fallback(pool: str, there: PoolCapacity, refused: tuple[Rejection, ...], *, because: str) -> PoolRoute:
    return PoolRoute(pool=pool, route="fallback", because=because, rejected=refused, deploys=there.can_be_brought)


def _waiting(choice: PoolChoice, refused: tuple[Rejection, ...]) -> PoolRoute:
    """Nobody fits anywhere, or nobody may."""
    kept = "its tenant has enterprise terms, so" if choice.guaranteed else "its submitter named the pool, so"
    alone = choice.guaranteed or choice.row == "asked"
    others = f" nor any of {', '.join(one.subject for one in refused[1:])}" if len(refused) > 1 else ""
    where = "any pool" if choice.pool == UNIFORM else f"pool {choice.pool}"
    return PoolRoute(
        pool=choice.pool,
        route="waiting",
        because=f"{kept} it waits there"
        if alone
        else f"no machine of {where}{others} can run it now, so it waits where it belongs",
        rejected=refused,
    )


def _holding(job: JobProfile) -> str:
    return " that holds its models" if job.models_bytes or job.workload.models else ""


def _why_not_here(pool: str, here: PoolCapacity, *, within_s: float) -> Rejection:
    if here.fit:
        longer = f", and a fetch takes longer than {within_s:g} s" if here.fetch_s is not None else ""
        return Rejection(
            subject=pool,
            code="models-absent",
            reason=f"none of the machines that fit holds its models{longer}",
            count=here.fit,
        )
    lacks = f": the one that comes closest {here.nearest_lacks}" if here.nearest_lacks else ""
    return Rejection(
        subject=pool, code=NO_MACHINE, reason=f"no machine fits{lacks}"[:_SENTENCE_CHARS], count=here.machines
    )


def _against(name: str, spec: PoolSpec, job: JobProfile, there: PoolCapacity) -> Iterator[Objection]:
    """What keeps the job out of a pool that is not its own."""
    yield from objections(spec, job)
    if spec.scaling.exclusive:
        yield Objection("exclusive", "takes no other pool's work")
    if not is_introduced(name, spec.traffic_share, job.key):
        yield Objection(
            "not-introduced", f"is in use for {spec.traffic_share:.0%} of its work so far, and not for this job"
        )
    if not there.fit:
        lacks = f": the one that comes closest {there.nearest_lacks}" if there.nearest_lacks else ""
        yield Objection(NO_MACHINE, f"no machine fits{lacks}")
    reserved = spec.scaling.reserved_share
    if reserved and there.free <= reserved * there.slots:
        yield Objection(
            "reserved", f"keeps {reserved:.0%} of its {there.slots} slots for its own work, and {there.free} are free"
        )


def _fetch_time(here: PoolCapacity) -> str:
    return "" if here.fetch_s is None else f" in about {here.fetch_s:.0f} s"
