"""Whether one engine may take work: a circuit breaker that counts only what is the engine's fault.

Closed, it takes work. Open, it takes none and waits for a warm-up job (the probe). Half open, the probe runs. An engine begins
open: nothing is believed before it has answered.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from northstar.domain.engines import Fault

Phase: TypeAlias = Literal["closed", "open", "half open"]
#: What an event did: nothing, asked for a probe, took the engine out of work, left it out, or brought it back.
What: TypeAlias = Literal["goes on", "asks", "opens", "stays out", "closes"]

#: Outcomes that a breaker remembers at most.
MAX_OUTCOMES: Final = 64
_MAX_DOUBLINGS: Final = 20


class HealthRule(msgspec.Struct, frozen=True, kw_only=True):
    """How much is too much. Times in seconds."""

    #: Failures in a row, each of another job, that open a breaker (or, if doubtful, ask for a probe).
    in_a_row: int = 3
    #: Of the outcomes within `window_s`, if they are at least `rate_from`, this part of failures opens it too.
    window_s: float = 600.0
    rate: float = 0.5
    rate_from: int = 10
    #: Pauses before probes double from the first to the longest; each is longer by up to `jitter` of itself.
    first_pause_s: float = 5.0
    longest_pause_s: float = 300.0
    jitter: float = 0.3
    #: So many openings within `openings_within_s` put the machine into quarantine; its length doubles with every spell.
    openings: int = 3
    openings_within_s: float = 3_600.0
    quarantine_s: float = 900.0
    longest_quarantine_s: float = 86_400.0

    def pause_s(self, doublings: int, *, jitter: float) -> float:
        """The pause before the next probe; `jitter` in 0..1."""
        plain = self.first_pause_s * (1 << min(doublings, _MAX_DOUBLINGS))
        return min(self.longest_pause_s, plain) * (1 + self.jitter * jitter)


class Outcome(msgspec.Struct, frozen=True):
    """A job that ended at the engine: well, or by a fault that says something about the engine."""

    at_s: float
    job: str
    fault: Literal["", "doubt", "engine"] = ""


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one engine.

    `generation` rises with every closing; what jobs of an older one say is no news. `on_trial`: it came back and has not
    ended a job well since, so that one failure is enough. `doubted`: the probe was asked for while it worked.
    """

    phase: Phase = "open"
    reason: str = "it has not answered a warm-up job yet"
    probe_at_s: float = 0.0
    failed_probes: int = 0
    generation: int = 0
    on_trial: bool = False
    doubted: bool = False
    outcomes: tuple[Outcome, ...] = ()


class Worked(msgspec.Struct, frozen=True, kw_only=True):
    """A job ended well."""

    at_s: float
    job: str
    generation: int


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A job failed; `why` is the error's code and sentence, `jitter` a random number in 0..1."""

    at_s: float
    job: str
    generation: int
    fault: Fault
    why: str
    jitter: float


class ProbeBegan(msgspec.Struct, frozen=True, kw_only=True):
    """The warm-up job was sent."""

    at_s: float


class ProbePassed(msgspec.Struct, frozen=True, kw_only=True):
    """The engine answered it."""

    at_s: float


class ProbeFailed(msgspec.Struct, frozen=True, kw_only=True):
    """It did not. `busy`: it says that it is still loading, or full; that is no reason to ask less often."""

    at_s: float
    why: str
    jitter: float
    busy: bool = False


Event: TypeAlias = Worked | Failed | ProbeBegan | ProbePassed | ProbeFailed


class Decision(msgspec.Struct, frozen=True):
    """What an event did, and why."""

    what: What
    reason: str = ""


def advance(breaker: Breaker, event: Event, rule: HealthRule) -> tuple[Breaker, Decision]:
    """The breaker after an event."""
    match event:
        case Worked() | Failed() if breaker.phase != "closed" or event.generation != breaker.generation:
            return breaker, Decision("goes on", "the job began before the engine was taken out of work")
        case Worked():
            kept = _remembered(breaker, Outcome(event.at_s, event.job), rule)
            return msgspec.structs.replace(breaker, outcomes=kept, on_trial=False), Decision("goes on")
        case Failed():
            return _failed(breaker, event, rule)
        case ProbeBegan() if breaker.phase == "open":
            return msgspec.structs.replace(breaker, phase="half open"), Decision("stays out", "the warm-up job runs")
        case ProbePassed() if breaker.phase == "half open":
            came_back = Breaker(phase="closed", reason="", generation=breaker.generation + 1, on_trial=True)
            return came_back, Decision("closes", "it answered the warm-up job")
        case ProbeFailed() if breaker.phase == "half open":
            return _probe_failed(breaker, event, rule)
        case _:
            return breaker, Decision("goes on", "no such news was awaited")


def taken_out(breaker: Breaker, reason: str, *, probe_at_s: float) -> Breaker:
    """The breaker opened, or its next probe put off, whatever it was."""
    return msgspec.structs.replace(
        breaker, phase="open", reason=reason, probe_at_s=probe_at_s, doubted=False, outcomes=()
    )


def _failed(breaker: Breaker, event: Failed, rule: HealthRule) -> tuple[Breaker, Decision]:
    if event.fault == "none":
        return breaker, Decision("goes on", "the failure says nothing about the engine")
    if event.fault == "fatal":
        return _open(breaker, event.why, event, rule)
    kept = _remembered(breaker, Outcome(event.at_s, event.job, event.fault), rule)
    breaker = msgspec.structs.replace(breaker, outcomes=kept)
    reason = _too_much(breaker, event, rule)
    if reason:
        return _open(breaker, f"{reason}; the last: {event.why}", event, rule)
    row = len(_row(breaker.outcomes))
    if row >= rule.in_a_row:
        why = f"{row} jobs in a row failed in a way that may be the engine's; the last: {event.why}"
        if breaker.on_trial:  # it has answered a warm-up job, and not one real job since
            return _open(breaker, why, event, rule)
        asked = msgspec.structs.replace(breaker, phase="half open", reason=why, probe_at_s=event.at_s, doubted=True)
        return asked, Decision("asks", why)
    return breaker, Decision("goes on", "failures are still too few")


def _too_much(breaker: Breaker, event: Failed, rule: HealthRule) -> str:
    """Why the failures that are the engine's are too many; empty if they are not."""
    if event.fault == "engine" and breaker.on_trial:
        return "it failed before it ended one job well"
    row = sum(outcome.fault == "engine" for outcome in _row(breaker.outcomes))
    if row >= rule.in_a_row:
        return f"{row} jobs in a row failed by its fault"
    outcomes = breaker.outcomes
    bad = sum(outcome.fault == "engine" for outcome in outcomes)
    if len(outcomes) >= rule.rate_from and bad >= rule.rate * len(outcomes):
        return f"{bad} of the last {len(outcomes)} jobs failed by its fault"
    return ""


def _row(outcomes: tuple[Outcome, ...]) -> list[Outcome]:
    """The failures since the last job that ended well."""
    row: list[Outcome] = []
    for outcome in reversed(outcomes):
        if not outcome.fault:
            break
        row.append(outcome)
    return row


def _remembered(breaker: Breaker, outcome: Outcome, rule: HealthRule) -> tuple[Outcome, ...]:
    """The latest outcomes. A job that fails again and again counts once: it may be the job."""
    kept = [old for old in breaker.outcomes if old.at_s > outcome.at_s - rule.window_s]
    if outcome.fault:
        if any(old.job == outcome.job and old.fault == "engine" for old in kept):
            return tuple(kept)
        kept = [old for old in kept if not (old.job == outcome.job and old.fault)]
    return (*kept, outcome)[-MAX_OUTCOMES:]


def _open(breaker: Breaker, reason: str, event: Failed, rule: HealthRule) -> tuple[Breaker, Decision]:
    probe_at_s = event.at_s + rule.pause_s(0, jitter=event.jitter)
    return taken_out(breaker, reason, probe_at_s=probe_at_s), Decision("opens", reason)


def _probe_failed(breaker: Breaker, event: ProbeFailed, rule: HealthRule) -> tuple[Breaker, Decision]:
    doublings = 0 if event.busy else breaker.failed_probes
    probe_at_s = event.at_s + rule.pause_s(doublings, jitter=event.jitter)
    reason = f"it did not answer the warm-up job: {event.why}"
    failed = 0 if event.busy else breaker.failed_probes + 1
    opened = msgspec.structs.replace(taken_out(breaker, reason, probe_at_s=probe_at_s), failed_probes=failed)
    return opened, Decision("opens" if breaker.doubted else "stays out", reason)
