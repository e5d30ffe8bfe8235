"""When an engine counts as ill, and for how long: the numbers of the circuit breaker and of quarantine."""

from __future__ import annotations

from typing import Annotated

import msgspec

from northstar.config.services import Seconds
from northstar.policy.fleet.breaker import MAX_OUTCOMES, HealthRule


class HealthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much is too much."""

    in_a_row: Annotated[int, msgspec.Meta(ge=1, le=MAX_OUTCOMES)]
    window_s: Seconds
    rate: Annotated[float, msgspec.Meta(gt=0, le=1)]
    rate_from: Annotated[int, msgspec.Meta(ge=1, le=MAX_OUTCOMES)]
    first_pause_s: Seconds
    longest_pause_s: Seconds
    jitter: Annotated[float, msgspec.Meta(ge=0, le=10)]
    openings: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    openings_within_s: Seconds
    quarantine_s: Seconds
    longest_quarantine_s: Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]

    @property
    def rule(self) -> HealthRule:
        """The same as policy takes it."""
        return HealthRule(**msgspec.structs.asdict(self))
