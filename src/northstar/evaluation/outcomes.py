"""What a run leaves, as figures and plots need it: jobs, fetches and machines. Moments are milliseconds of the run's own time."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

_Ms = Annotated[int, msgspec.Meta(ge=0)]
#: refused: the broker did not take it.
JobEnd: TypeAlias = Literal["succeeded", "failed", "canceled", "expired", "unfinished", "refused"]


class JobOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A job."""

    pool: str
    at_ms: _Ms
    #: When its work itself began: after queue, fetch and load. None: it never did.
    began_ms: int | None
    ended_ms: int | None
    ended: JobEnd
    #: Something was fetched for it, or something large loaded, before it could begin.
    was_cold: bool = False
    #: Its work fails however often it is tried.
    fails_itself: bool = False
    #: Where the matrix would have it by how long it took; empty: not judged.
    optimal_pool: str = ""
    tolerated_pools: tuple[str, ...] = ()

    @property
    def wait_s(self) -> float:
        """Submit to the start of its work; infinity where it never started."""
        return float("inf") if self.began_ms is None else (self.began_ms - self.at_ms) / 1_000

    @property
    def response_s(self) -> float:
        """Submit to its result; infinity where there is none."""
        if self.ended_ms is None or self.ended != "succeeded":
            return float("inf")
        return (self.ended_ms - self.at_ms) / 1_000

    @property
    def run_s(self) -> float | None:
        """The work itself."""
        return None if self.began_ms is None or self.ended_ms is None else (self.ended_ms - self.began_ms) / 1_000


class FetchOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A file that came to a machine; `baked` ones came with its image, and are bytes too."""

    at_ms: _Ms
    name: str
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    baked: bool = False


class MachineOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A machine: when it was paid for, (from, until) pairs, and how long it worked within the window."""

    id: str
    pool: str
    paid_ms: tuple[tuple[int, int], ...]
    busy_s: float
    price_usd_per_hour: float = 0.0

    @property
    def paid_s(self) -> float:
        """Seconds that are paid for."""
        return sum(until - begin for begin, until in self.paid_ms) / 1_000


class FetchTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What the fleet fetched."""

    #: In a simulation, for jobs that were submitted within the window; where single fetches are known, within the window.
    fetched_bytes: int
    redundant_bytes: int
    #: For no job, within the window: what was ordered, and what came when the run that it was for was over.
    apart_bytes: int = 0
    apart_redundant_bytes: int = 0


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one policy with one seed. `from_ms` to `until_ms` is what is measured; what came before only warmed it up."""

    policy: str
    seed: int
    from_ms: _Ms
    until_ms: _Ms
    jobs: tuple[JobOutcome, ...]
    fetches: tuple[FetchOutcome, ...] = ()
    #: In place of `fetches`, where single ones are not kept.
    fetched: FetchTotals | None = None
    machines: tuple[MachineOutcome, ...] = ()
