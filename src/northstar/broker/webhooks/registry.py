"""Webhooks of one cell: making, changing and removing them, and what each of them says.

They are documents of kind `webhook`, each change with an event that says who made it. No secret is kept: it follows from the key of
the installation, of which the cell has a fingerprint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.webhooks.signing_key import KeyHolder
from northstar.domain.events import EventId
from northstar.domain.refusals import DocumentChanged
from northstar.domain.tokens import ID_BYTES
from northstar.domain.webhooks import (
    MAX_OF_TENANT,
    MAX_WEBHOOKS,
    MOST_SECRETS,
    NewWebhook,
    NoSuchWebhook,
    SecretVersion,
    StoredWebhook,
    TooManyWebhooks,
    WebhookChange,
    WebhookInvalid,
    WebhookKeyForeign,
    WebhookTerms,
    WebhookView,
)
from northstar.policy.webhooks.kinds import are_of_jobs, check_kinds
from northstar.policy.webhooks.reach import check_url
from northstar.policy.webhooks.signing import shown_secret
from northstar.store.documents import (
    Document,
    DocumentUnreadable,
    NamedDocument,
    WantedDocument,
    drop_documents,
    put_documents,
    read_document,
    read_documents,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.policy.admission.addresses import Network
    from northstar.store.cell import Cell

KIND: Final = "webhook"
_KEY_KIND: Final = "webhook_key"
_KEY_NAME: Final = "fingerprint"


class WebhookRegistry:
    """Webhooks of one cell. `random_bytes` gives secret random bytes, `now_ms` wall-clock time."""

    #: Why one is off that nobody but an operator has switched off.
    BY_HAND: Final = "switched off by hand"

    def __init__(
        self,
        cell: Cell,
        keys: KeyHolder,
        *,
        allowed: Sequence[Network],
        random_bytes: Callable[[int], bytes],
        now_ms: Callable[[], int],
    ) -> None:
        """`allowed` networks may be reached although they are private."""
        self._cell = cell
        self._keys = keys
        self._allowed = allowed
        self._random_bytes = random_bytes
        self._now_ms = now_ms

    async def make(self, terms: WebhookTerms, *, by: str) -> NewWebhook:
        """Make a webhook.

        Raises:
            WebhookInvalid: its address or its events cannot be.
            TooManyWebhooks, WebhookKeyMissing, WebhookKeyForeign, Unavailable
        """
        self._check(terms.url, terms.events, terms.tenant)
        others = await self.all()
        _expect_room([webhook for _, webhook in others.values()], terms.tenant)
        key = self._keys.key()
        await self._expect_own_key(others_exist=bool(others), by=by)
        webhook_id = self._random_bytes(ID_BYTES).hex()
        stored = StoredWebhook(
            url=terms.url,
            events=terms.events,
            since=str(await self.latest_event()),
            secrets=(SecretVersion(number=1),),
            created_ms=self._now_ms(),
            made_by=by,
            tenant=terms.tenant,
            description=terms.description,
        )
        await self._put(webhook_id, stored, expected=0, by=by)
        return NewWebhook(
            webhook=await self.view(webhook_id), secret=shown_secret(key.secret(webhook_id, stored.secrets[-1].number))
        )

    async def change(self, webhook_id: str, change: WebhookChange, *, by: str) -> WebhookView:
        """Change what is named. Raises NoSuchWebhook, WebhookInvalid, DocumentChanged."""
        document, stored = await self.get(webhook_id)
        changed = msgspec.structs.replace(
            stored,
            url=stored.url if change.url is None else change.url,
            events=stored.events if change.events is None else change.events,
            description=stored.description if change.description is None else change.description,
        )
        self._check(changed.url, changed.events, changed.tenant)
        if change.enabled and stored.off:
            changed = msgspec.structs.replace(changed, off="", since=str(await self.latest_event()))
        elif change.enabled is False and not stored.off:
            changed = msgspec.structs.replace(changed, off=self.BY_HAND)
        await self._put(webhook_id, changed, expected=document.version, by=by)
        return await self.view(webhook_id)

    async def switch_off(self, webhook_id: str, *, reason: str, by: str) -> None:
        """Send nothing there any more, for a reason that people see. One that is gone, or changes just now, is left alone."""
        try:
            document, stored = await self.get(webhook_id)
            if not stored.off:
                await self._put(
                    webhook_id, msgspec.structs.replace(stored, off=reason), expected=document.version, by=by
                )
        except (NoSuchWebhook, DocumentChanged):
            return

    async def rotate(self, webhook_id: str, *, grace_s: float, by: str) -> NewWebhook:
        """Give a webhook another secret; the former one signs beside it for `grace_s`.

        Raises:
            NoSuchWebhook, DocumentChanged, WebhookKeyMissing, WebhookKeyForeign
        """
        document, stored = await self.get(webhook_id)
        key = self._keys.key()
        await self._expect_own_key(others_exist=True, by=by)
        now_ms = self._now_ms()
        until_ms = now_ms + int(grace_s * 1000)
        former = [
            msgspec.structs.replace(one, until_ms=min(one.until_ms or until_ms, until_ms)) for one in stored.secrets
        ]
        kept = [one for one in former if one.until_ms > now_ms][-(MOST_SECRETS - 1) :]
        number = stored.secrets[-1].number + 1
        changed = msgspec.structs.replace(stored, secrets=(*kept, SecretVersion(number=number)))
        await self._put(webhook_id, changed, expected=document.version, by=by)
        return NewWebhook(webhook=await self.view(webhook_id), secret=shown_secret(key.secret(webhook_id, number)))

    async def remove(self, webhook_id: str, *, by: str) -> None:
        """Forget a webhook; its deliveries go soon after. Raises NoSuchWebhook."""
        await self.get(webhook_id)
        reply = await drop_documents(self._cell, [NamedDocument(kind=KIND, name=webhook_id)], by=by)
        if not reply.dropped[0]:
            raise NoSuchWebhook(webhook_id)

    async def all(self) -> dict[str, tuple[Document, StoredWebhook]]:
        """All webhooks by id; one that this version cannot read is an error, since it must not be counted as absent.

        Raises:
            DocumentUnreadable, Unavailable
        """
        found = await read_documents(self._cell.client, self._cell.keys, KIND)
        return {name: (document, read_webhook(document)) for name, document in found.items()}

    async def views(self) -> list[WebhookView]:
        """All webhooks, the oldest first. Raises Unavailable."""
        now_ms = self._now_ms()
        views = [_view(name, *pair, now_ms=now_ms) for name, pair in (await self.all()).items()]
        return sorted(views, key=lambda view: (view.created_ms, view.id))

    async def view(self, webhook_id: str) -> WebhookView:
        """One webhook. Raises NoSuchWebhook, Unavailable."""
        return _view(webhook_id, *await self.get(webhook_id), now_ms=self._now_ms())

    async def get(self, webhook_id: str) -> tuple[Document, StoredWebhook]:
        """One webhook as it is kept. Raises NoSuchWebhook, DocumentUnreadable, Unavailable."""
        document = None
        if is_webhook_id(webhook_id):
            document = await read_document(self._cell.client, self._cell.keys, KIND, webhook_id)
        if document is None:
            raise NoSuchWebhook(webhook_id)
        return document, read_webhook(document)

    async def expect_key(self) -> None:
        """Raises WebhookKeyMissing, WebhookKeyForeign: this process cannot sign what the cell's webhooks are sent."""
        key = self._keys.key()
        known = await read_document(self._cell.client, self._cell.keys, _KEY_KIND, _KEY_NAME)
        if known is not None and msgspec.json.decode(known.body, type=str) != key.fingerprint:
            raise WebhookKeyForeign(place=self._keys.place)

    async def latest_event(self) -> EventId:
        """The last thing that happened in the cell."""
        counts = (await self._cell.statistics()).counts
        return EventId(counts["epoch"], counts["event"])

    async def _expect_own_key(self, *, others_exist: bool, by: str) -> None:
        """See that this process has the cell's key; where no webhook is, its key becomes the cell's."""
        key = self._keys.key()
        known = await read_document(self._cell.client, self._cell.keys, _KEY_KIND, _KEY_NAME)
        if known is not None and msgspec.json.decode(known.body, type=str) == key.fingerprint:
            return
        if known is not None and others_exist:
            raise WebhookKeyForeign(place=self._keys.place)
        wanted = WantedDocument(
            kind=_KEY_KIND,
            name=_KEY_NAME,
            body=msgspec.json.encode(key.fingerprint).decode(),
            expected=0 if known is None else known.version,
        )
        try:
            await put_documents(self._cell, [wanted], by=by)
        except DocumentChanged as exc:  # another process was first
            await self.expect_key()
            if known is not None:
                raise WebhookKeyForeign(place=self._keys.place) from exc

    def _check(self, url: str, kinds: Sequence[str], tenant: str | None) -> None:
        """Raises WebhookInvalid."""
        try:
            check_url(url, allowed=self._allowed)
        except ValueError as exc:
            raise WebhookInvalid(f"the address: {exc}") from exc
        try:
            check_kinds(kinds)
        except ValueError as exc:
            raise WebhookInvalid(f"the events: {exc}") from exc
        if tenant is not None and not are_of_jobs(kinds):
            raise WebhookInvalid(
                "a webhook of one tenant tells of jobs only; leave the tenant out, or name events of jobs"
            )

    async def _put(self, webhook_id: str, stored: StoredWebhook, *, expected: int, by: str) -> None:
        body = msgspec.json.encode(stored).decode()
        await put_documents(
            self._cell, [WantedDocument(kind=KIND, name=webhook_id, body=body, expected=expected)], by=by
        )


def is_webhook_id(text: str) -> bool:
    """Whether a webhook can have this id."""
    return len(text) == 2 * ID_BYTES and text.isascii() and text.isalnum()


def read_webhook(document: Document) -> StoredWebhook:
    """What a document says of a webhook. Raises DocumentUnreadable: a newer version wrote it."""
    try:
        return msgspec.json.decode(document.body, type=StoredWebhook)
    except msgspec.MsgspecError as exc:
        raise DocumentUnreadable(KIND, document.name, reason=str(exc)[:200]) from exc


def _expect_room(others: Sequence[StoredWebhook], tenant: str | None) -> None:
    """Raises TooManyWebhooks."""
    if len(others) >= MAX_WEBHOOKS:
        raise TooManyWebhooks(limit=MAX_WEBHOOKS, whose="the cell")
    if sum(one.tenant == tenant for one in others) >= MAX_OF_TENANT:
        whose = "nobody in particular" if tenant is None else f"tenant {tenant!r}"
        raise TooManyWebhooks(limit=MAX_OF_TENANT, whose=whose)


def _view(webhook_id: str, document: Document, stored: StoredWebhook, *, now_ms: int) -> WebhookView:
    return WebhookView(
        id=webhook_id,
        url=stored.url,
        events=stored.events,
        tenant=stored.tenant,
        description=stored.description,
        enabled=not stored.off,
        off=stored.off,
        created_ms=stored.created_ms,
        made_by=stored.made_by,
        by=document.by,
        changed_ms=document.at_ms,
        former=max(0, len(stored.signing(now_ms=now_ms)) - 1),
    )
