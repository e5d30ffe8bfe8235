"""Webhooks: who wants to be told of which events, and how a cell remembers it without knowing a secret."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec

from northstar.domain.errors import InvalidRequest, Refused, Unavailable
from northstar.domain.jobs import Tenant

#: What a delivery's `subject` and id begin with, and what is sent to try a receiver.
TEST_KIND: Final = "webhook.test"
#: Webhooks of one cell, and of one tenant in it.
MAX_WEBHOOKS: Final = 1_000
MAX_OF_TENANT: Final = 20
#: Secrets of one webhook that sign at the same time: the present one, and former ones in their time of grace.
MOST_SECRETS: Final = 3
MAX_GRACE_S: Final = 30 * 86_400

Kind = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-z]+(\.[a-z_]+)?$")]
Kinds = Annotated[tuple[Kind, ...], msgspec.Meta(min_length=1, max_length=32)]
WebhookUrl = Annotated[str, msgspec.Meta(min_length=8, max_length=2_048, pattern=r"^[\x21-\x7e]+$")]
Words = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]


class WebhookInvalid(InvalidRequest):
    """A webhook cannot be as it is wanted."""

    code: ClassVar[str] = "NS_WEBHOOK_INVALID"

    def __init__(self, reason: str) -> None:
        super().__init__(f"such a webhook cannot be: {reason}")
        self.reason = reason


class NoSuchWebhook(Refused):
    """There is no webhook of this id, or none for whoever asks."""

    code: ClassVar[str] = "NS_NO_SUCH_WEBHOOK"

    def __init__(self, webhook_id: str) -> None:
        super().__init__(f"there is no webhook {webhook_id[:64]!r}; northstar webhooks list shows those that there are")
        self.webhook_id = webhook_id


class NoSuchDelivery(Refused):
    """The webhook has no delivery of this id, or not any more."""

    code: ClassVar[str] = "NS_NO_SUCH_DELIVERY"

    def __init__(self, delivery_id: str) -> None:
        super().__init__(
            f"there is no delivery {delivery_id[:128]!r} of this webhook; what is old is forgotten (webhooks.keep_days)"
        )
        self.delivery_id = delivery_id


class TooManyWebhooks(Refused):
    """A bound of the cell, or of a tenant."""

    code: ClassVar[str] = "NS_TOO_MANY_WEBHOOKS"

    def __init__(self, *, limit: int, whose: str) -> None:
        super().__init__(f"{whose} has {limit} webhooks, as many as there may be; remove one first")
        self.limit = limit


class WebhookOff(Refused):
    """Nothing is sent to a webhook that is switched off."""

    code: ClassVar[str] = "NS_WEBHOOK_OFF"

    def __init__(self, webhook_id: str, *, reason: str) -> None:
        super().__init__(f"webhook {webhook_id} is switched off ({reason}); switch it on first")
        self.webhook_id = webhook_id


class WebhookFull(Unavailable):
    """As many deliveries of the webhook wait as may wait."""

    code: ClassVar[str] = "NS_WEBHOOK_FULL"

    def __init__(self, webhook_id: str, *, limit: int) -> None:
        super().__init__(f"{limit} deliveries of webhook {webhook_id} wait already; come back when some are through")
        self.webhook_id = webhook_id
        self.limit = limit


class WebhookKeyMissing(Unavailable):
    """Nothing can be signed without the installation's key."""

    code: ClassVar[str] = "NS_WEBHOOK_KEY_MISSING"
    retryable = False

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"webhooks cannot be signed: {reason}. Give every broker, and whoever makes webhooks, the same key: 32 random bytes "
            "as text (openssl rand -base64 32) in NORTHSTAR_WEBHOOK_KEY, or in the file that webhooks.key_file names"
        )
        self.reason = reason


class WebhookKeyForeign(Unavailable):
    """This process has another key than the one that the cell's webhooks were made with."""

    code: ClassVar[str] = "NS_WEBHOOK_KEY_FOREIGN"
    retryable = False

    def __init__(self, *, place: str) -> None:
        super().__init__(
            f"the webhooks of this cell were made with another key than that of {place}: copy NORTHSTAR_WEBHOOK_KEY, or the file of "
            "webhooks.key_file, from a broker that sends them. If that key is lost, remove all webhooks and make them anew"
        )
        self.place = place


class WebhookTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants a webhook to be."""

    #: Where events are sent by POST: https, without login and without a secret in it.
    url: WebhookUrl
    #: Kinds of events: `completed`, `start` or `all` (of jobs), one kind (`job.failed`), or all that begin so (`job`).
    events: Kinds = ("completed",)
    #: The only tenant whose jobs it tells of; None: all of them.
    tenant: Tenant | None = None
    #: What people call it.
    description: Words = ""


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be changed of a webhook; what is left out stays."""

    url: WebhookUrl | None = None
    events: Kinds | None = None
    description: Words | None = None
    #: Switched on, it begins with what happens from then on, and counts as healthy.
    enabled: bool | None = None


class RotateTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a secret is replaced."""

    #: Seconds for which the former secret signs beside the new one.
    grace_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_GRACE_S)] = 86_400.0


class RedeliverTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries are sent again: all that failed of events since then, ms since the epoch."""

    since_ms: Annotated[int, msgspec.Meta(ge=0, le=9_007_199_254_740_991)]


class SecretVersion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A secret that signs, by its number; the secret itself follows from the installation's key. `until_ms` 0: until it is replaced."""

    number: int
    until_ms: int = 0


class StoredWebhook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A webhook as a cell remembers it. Times are ms since the epoch."""

    url: str
    events: tuple[str, ...]
    #: It tells of events after this one, `epoch-sequence`.
    since: str
    #: The latest last.
    secrets: tuple[SecretVersion, ...]
    created_ms: int
    made_by: str
    tenant: str | None = None
    description: str = ""
    #: Why nothing is sent; empty: it is switched on.
    off: str = ""

    def signing(self, *, now_ms: int) -> tuple[int, ...]:
        """Numbers of the secrets that sign now, the latest first."""
        return tuple(one.number for one in reversed(self.secrets) if not one.until_ms or now_ms < one.until_ms)


class WebhookHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a receiver has behaved. Times are ms since the epoch; 0 is "never", or "not now"."""

    #: Since when no delivery has got through, although some were tried.
    failing_since_ms: int = 0
    delivered_ms: int = 0
    #: Deliveries that wait, are through, and were given up.
    waiting: int = 0
    delivered: int = 0
    failed: int = 0


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as people see it; nothing in it signs anything."""

    id: str
    url: str
    events: tuple[str, ...]
    tenant: str | None
    description: str
    enabled: bool
    #: Why it is switched off; empty: it is not.
    off: str
    created_ms: int
    made_by: str
    #: Who changed it last, and when.
    by: str
    changed_ms: int
    #: Former secrets that still sign.
    former: int
    #: Where it was asked for alone.
    health: WebhookHealth | None = None


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook with the secret that its receiver verifies by. It is shown only now."""

    webhook: WebhookView
    secret: str

    def __repr__(self) -> str:
        return f"NewWebhook(webhook={self.webhook!r}, secret='***')"


class Webhooks(msgspec.Struct, frozen=True, kw_only=True):
    """All webhooks that whoever asks may see, the oldest first."""

    webhooks: tuple[WebhookView, ...]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one receiver. Times are ms since the epoch; 0 is "not yet"."""

    #: The `webhook-id` of every attempt.
    id: str
    event: str
    #: The job, or what else the event is about.
    subject: str
    #: `waiting`, `delivered` or `failed`.
    status: str
    #: Since it was made, or last asked for again.
    attempts: int
    made_ms: int
    #: Of one that waits: when it is tried next; 0: when the one before it of the same subject is through or given up.
    due_ms: int
    tried_ms: int
    #: What became of the last attempt: empty, or a code that says why it failed, with a sentence.
    error: str
    message: str
    #: The last answer: status, its beginning, and after how many ms it came. 0 and empty: there was none.
    answer_status: int
    answer: str
    took_ms: int


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries of a webhook, the latest first."""

    deliveries: tuple[Delivery, ...]
    #: Where the next page begins; empty: this is the last.
    cursor: str


class Redelivered(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries are sent again; with `more`, there are others: ask again."""

    deliveries: int
    more: bool
