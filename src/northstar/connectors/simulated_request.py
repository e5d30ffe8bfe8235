"""What a payload may ask of a simulated engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec

from northstar.connectors.contract import Json
from northstar.connectors.errors import EngineRejected

#: How a simulated job may fail. `gone` is the death of the engine, with every job that it runs.
FailureKind: TypeAlias = Literal[
    "busy", "empty", "failed", "gone", "malformed", "missing", "rejected", "silent", "too_large"
]
FAILURE_KINDS: tuple[FailureKind, ...] = get_args(FailureKind)


class Instruction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a job orders instead of leaving it to chance: the value of `simulate` in its payload."""

    #: Seconds that it runs; empty: as the service's settings say.
    run_s: Annotated[float, msgspec.Meta(ge=0, le=7 * 86_400)] | None = None
    #: How it fails; empty: by the chances of the service's settings.
    fail: FailureKind | None = None
    #: How far it comes before it fails: 0 at once, 1 when it should be done.
    fail_at: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    #: Bytes of its output; empty: a few words.
    output_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None


class SimulatedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a payload that a simulated engine looks at; the rest of it may be anything, as real jobs have it."""

    #: The model that must be loaded; empty: that of the service's settings, if they name one.
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    #: Steps that it takes and reports; empty: as the service's settings say (10).
    steps: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    #: What is ordered instead of left to chance; see below.
    simulate: Instruction = Instruction()


def simulated_request(payload: Mapping[str, Json], *, service: str) -> SimulatedRequest:
    """Read a payload.

    Raises:
        EngineRejected: one of the parts above is of another type, out of bounds or misspelt.
    """
    try:
        return msgspec.convert(dict(payload), SimulatedRequest)
    except msgspec.ValidationError as error:
        raise EngineRejected(str(error), service=service) from error
