"""What ends a stream of events, or keeps it from beginning."""

from __future__ import annotations

from typing import ClassVar

from northstar.domain.errors import InvalidRequest, Refused, Unavailable


class EventIdInvalid(InvalidRequest):
    """What was given as the id of an event is none."""

    code: ClassVar[str] = "NS_EVENT_ID_INVALID"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:80]!r} is no id of an event; they look like 1-42, and come with each event")


class EventIdUnknown(Refused):
    """The id is later than everything that the cell knows: the cell was made anew, or its server lost its last events."""

    code: ClassVar[str] = "NS_EVENT_ID_UNKNOWN"

    def __init__(self, event_id: str, *, latest: str) -> None:
        super().__init__(
            f"this cell is at event {latest} and has had no event {event_id} yet: it was made anew, or lost its last events; begin "
            "without an id, and look at your jobs once"
        )


class ReaderTooSlow(Refused):
    """Somebody who listens reads slower than things happen."""

    code: ClassVar[str] = "NS_READER_TOO_SLOW"
    retryable = True

    def __init__(self, most: int) -> None:
        super().__init__(
            f"more than {most} events waited for this reader; go on from the last id that came, and read faster or ask for less"
        )


class TooManyStreams(Unavailable):
    """This process, or this key, has as many open streams as it may."""

    code: ClassVar[str] = "NS_TOO_MANY_STREAMS"

    def __init__(self, limit: int, *, whose: str) -> None:
        super().__init__(
            f"{whose} has {limit} open streams of events, as many as it may; close some, or come back later"
        )


class FeedEnded(Unavailable):
    """The broker that told the events stops, or cannot go on telling them."""

    code: ClassVar[str] = "NS_FEED_ENDED"

    def __init__(self) -> None:
        super().__init__("this broker tells no more events; connect again and go on from the last id that came")
