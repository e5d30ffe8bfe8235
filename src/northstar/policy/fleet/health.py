"""Whether a machine may take work: a breaker for each of its engines, and quarantine for one that breaks again and again.

A breaker alone would let in a machine whose engine answers every warm-up and fails every real job. So openings are counted:
too many within an hour take the whole machine out of work, for longer each time, and it comes back only when the engines that
brought it there have answered a warm-up job. One job counts once, however often it is tried: a job that kills every engine
must not empty the fleet.
"""

from __future__ import annotations

from typing import Final

import msgspec

from northstar.policy.fleet.breaker import Breaker, Decision, Event, Failed, HealthRule, ProbeFailed, advance, taken_out

_MAX_DOUBLINGS: Final = 20
#: Begins what a machine in quarantine says of each of its engines.
QUARANTINED: Final = "the machine is in quarantine"


class Opening(msgspec.Struct, frozen=True):
    """An engine that was at work was taken out of it. `job` is the job that did it; empty where it was none."""

    at_s: float
    service: str
    reason: str
    job: str = ""


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """Why the machine takes no work at all, until when at least, and which engines have to prove themselves first."""

    since_s: float
    until_s: float
    reason: str
    offenders: tuple[str, ...]


class MachineHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a machine's engines, by service. `spells` counts quarantines that followed each other soon."""

    engines: dict[str, Breaker]
    openings: tuple[Opening, ...] = ()
    quarantine: Quarantine | None = None
    spells: int = 0
    lifted_s: float | None = None

    @classmethod
    def unproven(cls, services: tuple[str, ...], *, at_s: float) -> MachineHealth:
        """A machine that has just started: every engine is to be probed at once."""
        return cls(engines={service: Breaker(probe_at_s=at_s) for service in services})

    @property
    def offered(self) -> tuple[str, ...]:
        """The services that may be offered now."""
        if self.quarantine is not None:
            return ()
        return tuple(service for service, breaker in self.engines.items() if breaker.phase == "closed")

    def reason_against(self, service: str) -> str:
        """Why a service is not offered; empty if it is."""
        if self.quarantine is not None:
            return f"{QUARANTINED}: {self.quarantine.reason}"
        return self.engines[service].reason if self.engines[service].phase != "closed" else ""


def judged(health: MachineHealth, service: str, event: Event, rule: HealthRule) -> tuple[MachineHealth, Decision]:
    """The machine after an event at one of its engines.

    Raises:
        KeyError: the machine has no such service.
    """
    breaker, decision = advance(health.engines[service], event, rule)
    health = msgspec.structs.replace(health, engines={**health.engines, service: breaker})
    match decision.what:
        case "opens":
            job = event.job if isinstance(event, Failed) else ""
            return _opened(health, Opening(event.at_s, service, decision.reason, job), event, rule), decision
        case "closes" if health.quarantine is not None:
            return _perhaps_lifted(health, health.quarantine, at_s=event.at_s), decision
        case _:
            return health, decision


def repaired(health: MachineHealth, *, at_s: float) -> MachineHealth:
    """Somebody has mended the machine: what is out of work is probed now. Quarantine ends when the probes have passed."""
    engines = {
        service: msgspec.structs.replace(breaker, probe_at_s=at_s, failed_probes=0)
        if breaker.phase == "open"
        else breaker
        for service, breaker in health.engines.items()
    }
    quarantine = health.quarantine
    if quarantine is not None:
        quarantine = msgspec.structs.replace(quarantine, until_s=at_s)
    return msgspec.structs.replace(health, engines=engines, quarantine=quarantine, spells=0)


def _opened(health: MachineHealth, opening: Opening, event: Event, rule: HealthRule) -> MachineHealth:
    recent = [
        old
        for old in health.openings
        if old.at_s > opening.at_s - rule.openings_within_s and not (opening.job and old.job == opening.job)
    ]
    openings = (*recent, opening)[-rule.openings :]
    health = msgspec.structs.replace(health, openings=openings)
    if health.quarantine is not None or len(openings) < rule.openings:
        return health
    jitter = event.jitter if isinstance(event, (Failed, ProbeFailed)) else 0.0
    return _quarantined(health, rule, at_s=opening.at_s, jitter=jitter)


def _quarantined(health: MachineHealth, rule: HealthRule, *, at_s: float, jitter: float) -> MachineHealth:
    soon = health.lifted_s is not None and at_s - health.lifted_s < rule.longest_quarantine_s
    spells = health.spells if soon else 0
    length_s = min(rule.longest_quarantine_s, rule.quarantine_s * (1 << min(spells, _MAX_DOUBLINGS)))
    until_s = at_s + length_s * (1 + rule.jitter * jitter)
    offenders = tuple(dict.fromkeys(opening.service for opening in health.openings))
    last = health.openings[-1]
    reason = f"{len(health.openings)} times taken out of work, the last time {last.service}: {last.reason}"
    engines = {
        service: taken_out(breaker, breaker.reason or reason, probe_at_s=until_s) if service in offenders else breaker
        for service, breaker in health.engines.items()
    }
    quarantine = Quarantine(since_s=at_s, until_s=until_s, reason=reason, offenders=offenders)
    return msgspec.structs.replace(health, engines=engines, quarantine=quarantine, spells=spells + 1)


def _perhaps_lifted(health: MachineHealth, quarantine: Quarantine, *, at_s: float) -> MachineHealth:
    if any(health.engines[service].phase != "closed" for service in quarantine.offenders):
        return health
    return msgspec.structs.replace(health, quarantine=None, openings=(), lifted_s=at_s)
