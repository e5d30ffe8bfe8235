"""What happened to one job, step by step and in words; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from northstar.domain.events import Event

#: What the queue's own reasons mean.
_REASONS: Final = {
    "lease_expired": "nothing was heard of it until the lease ended",
    "silent": "nothing was heard of the machine any more",
    "offer_not_accepted": "the machine did not take it in time",
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a job. `attempt` is the number of the attempt that it belongs to; 0 before the first, as `machine` is empty."""

    at_ms: int
    event: str
    attempt: int
    machine: str
    #: What it means, as a sentence without a full stop.
    what: str
    #: The error's code, or the reason that was given; empty where there is none.
    why: str


def steps_of(events: Iterable[Event], *, max_attempts: int = 0) -> list[Step]:
    """The steps of one job from its events, which are in order. `max_attempts` are those that it may fail; 0: nobody knows."""
    teller = _Teller(max_attempts)
    return [teller.tell(event) for event in events]


class _Teller:
    """Knows what the events so far said that later ones leave out."""

    def __init__(self, max_attempts: int) -> None:
        self._max_attempts = max_attempts
        self._failed = 0
        self._lost = 0
        self._machine = ""
        self._at_work = False

    def tell(self, event: Event) -> Step:
        data, kind = event.data, event.kind.removeprefix("job.")
        machine = str(data.get("machine") or "")
        if kind in {"offered", "started"}:
            self._machine, self._at_work = machine, True
        lost = int(data.get("recoveries") or 0)
        meant = "hopeless" if kind == "failed" and self._is_hopeless(data) else kind
        data = data | {"id": event.subject}
        what = _sentence(meant, data, was_lost=lost > self._lost, at_work=self._at_work)
        self._lost = max(self._lost, lost)
        machine = machine or (self._machine if kind == "retrying" else "")
        attempt = self._failed + 1 if self._at_work else 0
        if kind in {"retrying", "failed"} and data.get("attempts"):
            attempt = self._failed = int(data["attempts"])
        if kind == "replayed":
            self._failed = self._lost = 0
        if kind not in {"offered", "started", "reprioritised"}:
            self._at_work = False
        reason = str(data.get("code") or data.get("because") or "")
        return Step(
            at_ms=event.at_ms,
            event=kind,
            attempt=attempt,
            machine=machine,
            what=what,
            why=_REASONS.get(reason, reason),
        )

    def _is_hopeless(self, data: dict[str, Any]) -> bool:
        """Whether it failed for good though it might have been tried again; one that was lost with its machines tells no attempts."""
        return 0 < int(data.get("attempts") or 0) < self._max_attempts


#: What each kind of event means; `{…}` is what it says of itself.
_SENTENCES: Final = {
    "submitted": "submitted by {tenant}, queued with priority {priority}",
    "offered": "handed to a machine that waited for work",
    "started": "started",
    "retrying": "failed, and pauses before the next attempt",
    "retried": "waits again",
    "lost": "lost with its machine; back to the front of the queue, no attempt charged",
    "returned": "handed back; at the front of the queue again, nothing charged",
    "failed": "failed for good; to send it back to work: northstar dead replay {id}",
    "hopeless": "failed for good: not tried again, since {code} is not retryable; mend the payload and submit it anew",
    "succeeded": "succeeded",
    "stopped": "canceled while at work",
    "canceled": "canceled before it ran",
    "expired": "given up: the deadline that was set at submit has passed",
    "reprioritised": "priority changed from {from} to {to}",
    "replayed": "sent back to work by an operator, with its counters at zero",
    "leaving": "leaves for cell {target}",
    "moved": "lives in cell {target} now",
    "arrived": "arrived from another cell",
    "rerouted": "routed anew, and waits in pool {to} now",
}


class _Told(dict[str, Any]):
    """What an event says; what it leaves out is shown as unknown rather than failing the tale."""

    def __missing__(self, name: str) -> str:
        return "?"


def _sentence(kind: str, data: dict[str, Any], *, was_lost: bool, at_work: bool) -> str:
    """An event that this version does not know is told by its name."""
    meant = "lost" if kind == "returned" and was_lost else "stopped" if kind == "canceled" and at_work else kind
    return _SENTENCES.get(meant, kind).format_map(_Told(data))
