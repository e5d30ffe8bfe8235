"""Whether events follow on each other; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from northstar.domain.events import Event, EventId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Before the first event of a cell.
BEGINNING = EventId(0, 0)

#: events_missing: the cell numbered events that the history never saw.
#: server_changed: the cell's server is another one (restart, promotion, restored copy); its last events may be lost.
GapReason = Literal["events_missing", "server_changed"]


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A place where history is not known to be whole: between `last` and `next`."""

    last: EventId
    next: EventId
    reason: GapReason
    #: Events between the two that are known to be missing. After a change of server there may have been more.
    missing: int
    #: Events up to `last` that the history has and the cell lost: it numbers others like them in its new epoch.
    disowned: int
    #: The cell's time at `next`.
    at_ms: int


def after(offset: EventId, events: Iterable[Event]) -> list[Event]:
    """The events that are not written yet."""
    return [event for event in events if event.id > offset]


def find_gaps(offset: EventId, events: Sequence[Event]) -> list[Gap]:
    """Every place in `events`, which come after `offset` and in order, where one does not follow on the one before."""
    found: list[Gap] = []
    for event in events:
        gap = _gap(offset, event)
        if gap is not None:
            found.append(gap)
        offset = event.id
    return found


def _gap(last: EventId, event: Event) -> Gap | None:
    step = event.id.sequence - last.sequence
    changed = event.id.epoch != last.epoch and last != BEGINNING
    if step == 1 and not changed:
        return None
    return Gap(
        last=last,
        next=event.id,
        reason="server_changed" if changed else "events_missing",
        missing=max(0, step - 1),
        disowned=max(0, 1 - step),
        at_ms=event.at_ms,
    )
