"""Whether and how a simulated run fails."""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec

from northstar.connectors.errors import (
    EmptyOutput,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineGone,
    EngineRejected,
    EngineTimeout,
    MalformedAnswer,
    OutputMissing,
    OutputTooLarge,
)
from northstar.connectors.simulated_request import FAILURE_KINDS, FailureKind, Instruction


class Fate(msgspec.Struct, frozen=True):
    """How a run fails, and after how many of its steps."""

    kind: FailureKind
    after_steps: int


def fate_of(order: Instruction, chances: Mapping[FailureKind, float], rng: random.Random, *, steps: int) -> Fate | None:
    """The fate that the job orders, else one by chance; None: the run ends well."""
    if order.fail is not None:
        return Fate(order.fail, int(order.fail_at * steps))
    left = rng.random()
    for kind in FAILURE_KINDS:
        left -= chances.get(kind, 0.0)
        if left < 0:
            return Fate(kind, rng.randrange(steps))
    return None


def check_chances(chances: Mapping[FailureKind, float]) -> None:
    """Whether these can be probabilities of what may befall one run.

    Raises:
        ValueError: an unknown kind, a number that is no probability, or more than 1 together.
    """
    if not set(chances) <= set(FAILURE_KINDS) or not all(0 <= chance <= 1 for chance in chances.values()):
        raise ValueError(f"failures must be probabilities from 0 to 1 of {', '.join(FAILURE_KINDS)}")
    if sum(chances.values()) > 1:
        raise ValueError("the probabilities of all failures together must not exceed 1")


def failure(kind: FailureKind, *, service: str, max_output_bytes: int) -> EngineError:
    """The error that a real engine would have raised."""
    plain: dict[FailureKind, type[EngineBusy | EngineFailed | EngineGone | EngineRejected | MalformedAnswer]] = {
        "busy": EngineBusy,
        "failed": EngineFailed,
        "gone": EngineGone,
        "malformed": MalformedAnswer,
        "rejected": EngineRejected,
    }
    match kind:
        case "empty":
            return EmptyOutput("the simulated output", service=service)
        case "missing":
            return OutputMissing("a simulated output", found="", service=service)
        case "silent":
            return EngineTimeout("simulated step", service=service, limit_s=None)
        case "too_large":
            return OutputTooLarge("the simulated output", service=service, limit_bytes=max_output_bytes)
        case _:
            return plain[kind]("simulated", service=service)
