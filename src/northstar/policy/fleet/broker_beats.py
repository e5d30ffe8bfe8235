"""When a broker counts as gone: what the others of its cell make of its beats.

Every broker counts up a number of its own each second, and looks at the others' numbers in the same moment. No clock is compared
with another: what counts is how long a number stood still while the one who looks was itself awake and reached the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class BeatRule(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds, in seconds.

    A process that was killed stands still and nobody hears its bells, since its connections were closed with it: that is known after
    `unheard_s`. One that is merely held up (SIGSTOP, a collector, a starved host) stands still too, but its connections stay: it is
    given `still_s`. That is more than the 4.5 s after which its own machines give it up (`MISSED_AFTER_S`), so nothing is taken from one that
    comes back.
    """

    every_s: float = 1.0
    #: Two beats, each up to a tenth shorter than a second.
    unheard_s: float = 1.7
    #: Looks in a row that found nobody who hears its bells.
    unheard_looks: int = 2
    still_s: float = 10.0
    #: What one look can add to the time that another stood still: who slept himself has not seen the others asleep.
    most_a_look_s: float = 1.5
    #: A number that stood still for so long is nobody's concern any more.
    forget_s: float = 600.0


class BrokerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker knows of another one. `has_beaten`: it was seen to count; who never was is not judged."""

    beats: int
    has_beaten: bool = False
    still_s: float = 0.0
    unheard_looks: int = 0


def after_look(
    seen: Mapping[str, BrokerSeen], beats: Mapping[str, int], *, passed_s: float, rule: BeatRule
) -> dict[str, BrokerSeen]:
    """What is known after one more look, `passed_s` after the last; `beats` are the numbers of the other brokers. Who has none any more is forgotten."""
    passed_s = min(max(0.0, passed_s), rule.most_a_look_s)
    return {name: _after(seen.get(name), number, passed_s) for name, number in beats.items()}


def _after(before: BrokerSeen | None, beats: int, passed_s: float) -> BrokerSeen:
    if before is None:
        return BrokerSeen(beats=beats)
    if before.beats != beats:
        return BrokerSeen(beats=beats, has_beaten=True)
    return msgspec.structs.replace(before, still_s=before.still_s + passed_s)


def after_outage(seen: Mapping[str, BrokerSeen]) -> dict[str, BrokerSeen]:
    """What is known after a look that failed: the others could perhaps not beat either, so all have their whole time again."""
    return {name: msgspec.structs.replace(broker, still_s=0.0, unheard_looks=0) for name, broker in seen.items()}


def to_ask_about(seen: Mapping[str, BrokerSeen], rule: BeatRule) -> list[str]:
    """Brokers of which is to be asked whether somebody hears their bells: they beat before, and have missed a beat."""
    return sorted(name for name, broker in seen.items() if broker.has_beaten and broker.still_s >= rule.every_s / 2)


def after_asking(
    seen: Mapping[str, BrokerSeen], asked: Collection[str], heard: Collection[str]
) -> dict[str, BrokerSeen]:
    """What is known after it was asked about some, of whom these are heard."""
    return {
        name: msgspec.structs.replace(broker, unheard_looks=0 if name in heard else broker.unheard_looks + 1)
        if name in asked
        else broker
        for name, broker in seen.items()
    }


def is_gone(broker: BrokerSeen, rule: BeatRule) -> bool:
    """Whether its machines have to find another broker, or are gone with it."""
    if not broker.has_beaten:
        return False
    unheard = broker.still_s >= rule.unheard_s and broker.unheard_looks >= rule.unheard_looks
    return unheard or broker.still_s >= rule.still_s


def is_forgotten(broker: BrokerSeen, rule: BeatRule) -> bool:
    """Whether it ended before anybody here looked, and its number only lies about."""
    return not broker.has_beaten and broker.still_s >= rule.forget_s


#: Machines a second that a broker lets in when all dial it at once; measured with 2,000, all processes on two cores.
LET_IN_PER_S = 500.0


#: A machine at the settings as shipped misses a silent broker after so long, and dials another from then on (`agent.ping_every_s` and half of that).
MISSED_AFTER_S = 4.5
#: What is left to those who have been dialling all the time.
LEAST_GRACE_S = 1.0


def grace_of_orphans_s(machines: int, grace_s: float, *, still_s: float = 0.0) -> float:
    """How long machines of a broker that is gone have to dial another: the grace of each, and the time that so many need at the door.

    The grace begins when they must have missed it themselves. One that stood still for `still_s` while its connections stayed open was missed
    before it was taken for gone, so less of the grace is left, and the machines that vanished with it are known to be lost sooner.
    """
    left_s = grace_s - max(0.0, still_s - MISSED_AFTER_S)
    return max(min(grace_s, LEAST_GRACE_S), left_s) + machines / LET_IN_PER_S
