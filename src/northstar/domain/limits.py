"""Bounds and durations of one cell; stored in the cell, so that every process obeys the same ones."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Ms = Annotated[int, msgspec.Meta(ge=1, le=366 * 86_400_000)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class CellLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All durations are milliseconds of the cell's clock."""

    #: A job that is not renewed for so long returns to its lane. At least 1 s: shorter pauses are ordinary.
    lease_ms: Annotated[int, msgspec.Meta(ge=1_000, le=86_400_000)] = 30_000
    #: A hand-over that is not accepted for so long returns, uncharged.
    offer_ms: _Ms = 2_000
    #: A machine that says nothing for so long is lost.
    alive_ms: _Ms = 30_000
    #: A job is never overtaken by one submitted so much later, on a machine that may serve both.
    overdue_ms: _Ms = 60_000
    #: A lane without unfinished jobs keeps its place for so long.
    lane_ttl_ms: _Ms = 60_000
    #: Jobs that were given up are kept for so long.
    dead_retention_ms: _Ms = 7 * 86_400_000
    #: Bytes of one job's body or result. Media is never stored here, only references.
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=65_536)] = 65_536
    #: Unfinished jobs of the cell, and of one tenant.
    max_jobs: _Count = 1_000_000
    max_tenant_jobs: _Count = 100_000
    #: Events that the history has not committed yet; at this number submit answers "come back later".
    max_events: _Count = 1_000_000
    max_lanes: _Count = 100_000
    max_classes: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4_096
    max_profiles: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4_096
    max_machines: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10_000
    max_words: _Count = 100_000
    #: Invites that are open, or were until lately.
    max_invites: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10_000
    #: Tokens of machines, those of the last weeks that count no more included.
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 100_000
    #: The longest that an invite may be open.
    max_invite_ms: _Ms = 90 * 86_400_000
    #: A token whose machine has not been here for so long expires.
    token_ttl_ms: _Ms = 30 * 86_400_000
    #: What operators declare for all processes, such as the models of the catalogue: how many, and their bytes in all. Each process
    #: that routes reads all of them when one has changed.
    max_documents: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 20_000
    max_documents_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=1_000_000_000)] = 67_108_864
