"""Lanes in lists: the waiting jobs that ask for the same. A lane holds no tenant, but what it asks for may tell of one."""

from __future__ import annotations

import msgspec

from northstar.domain.requirements import RequirementClass


class LaneTally(msgspec.Struct, frozen=True, kw_only=True):
    """A lane in numbers: `key` is its text, `live` counts its unfinished jobs."""

    id: str
    key: str
    pool: str
    waiting: int
    live: int


class AnchorModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model by which jobs are sorted into lanes; 0 bytes are not known."""

    name: str
    size_bytes: int


class LaneRow(msgspec.Struct, frozen=True, kw_only=True):
    """A lane: what its jobs ask for, how many wait and since when, and why nobody takes them. Times are ms of the cell's clock."""

    id: str
    requirement: RequirementClass
    models: tuple[AnchorModel, ...]
    #: Those that could be taken now; a job that pauses before a retry is only in `unfinished`.
    waiting: int
    unfinished: int
    running: int
    #: Since when its oldest job has waited; 0: none waits.
    oldest_ms: int
    oldest_wait_s: float
    #: Machines that take work and fit.
    machines: int
    #: Why no machine takes its jobs: it is paused, or what the closest machine lacks; empty: some machine may, or nobody waits.
    why_nobody: str


class LanePage(msgspec.Struct, frozen=True, kw_only=True):
    """Lanes by id, so that a list stays in order while they fill and empty."""

    lanes: tuple[LaneRow, ...]
    #: Where the next page begins; empty: this is the last.
    cursor: str
