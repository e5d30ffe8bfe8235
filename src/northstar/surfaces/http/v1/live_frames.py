"""What is said over `/v1/live`: one JSON object a message, its `type` first."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from northstar.broker.event_streams import Missing
from northstar.domain.jobs import JobId
from northstar.domain.told_events import EventFilter, ToldEvent

#: What a client calls one of its subscriptions.
SubscriptionName = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
_Position = Annotated[str, msgspec.Meta(max_length=64)]


class Hello(msgspec.Struct, frozen=True, tag="hello", forbid_unknown_fields=True):
    """Who is there; the first message of a client that could not send its key as a header."""

    key: Annotated[str, msgspec.Meta(max_length=256)]


class Subscribe(msgspec.Struct, frozen=True, kw_only=True, tag="subscribe", forbid_unknown_fields=True):
    """Wants to hear of one job with its progress, to its end, where `job` is named; else all events that `filter` accepts.

    Begins after the event `after`; without it, with the first event of a job, and of others now.
    """

    id: SubscriptionName
    job: JobId | None = None
    filter: EventFilter = EventFilter()
    after: _Position | None = None


class Unsubscribe(msgspec.Struct, frozen=True, kw_only=True, tag="unsubscribe", forbid_unknown_fields=True):
    """Wants to hear no more of it."""

    id: SubscriptionName


FromClient = Hello | Subscribe | Unsubscribe


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """The key counts. Signs of life come every so many seconds."""

    alive_every_s: float


class Subscribed(msgspec.Struct, frozen=True, kw_only=True, tag="subscribed"):
    """From here on everything is told."""

    subscription: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """Nothing more comes of it: it was unsubscribed, or its job is over; or, with a code, because of that."""

    subscription: str
    code: str = ""
    message: str = ""
    retryable: bool = False


class Change(msgspec.Struct, frozen=True, kw_only=True, tag="change"):
    """Something happened."""

    subscription: str
    event: ToldEvent


class Gap(msgspec.Struct, frozen=True, kw_only=True, tag="gap"):
    """Events that nobody can tell any more."""

    subscription: str
    missing: Missing


class Progressed(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far the job is; lossy."""

    subscription: str
    progress: Any


class Wrote(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """Text that the job has written since the last of these; lossy."""

    subscription: str
    text: str


class Alive(msgspec.Struct, frozen=True, kw_only=True, tag="alive"):
    """A sign of life. All that a subscription wants up to this event was told; empty where it is about one job."""

    subscription: str = ""
    position: str = ""


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag="closed"):
    """The last message: why the connection ends."""

    code: str
    message: str
    retryable: bool


FromServer = Welcome | Subscribed | Ended | Change | Gap | Progressed | Wrote | Alive | Closed

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(FromClient).decode
