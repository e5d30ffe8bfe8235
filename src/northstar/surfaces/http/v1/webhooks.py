"""Webhooks: who is told of what, whether it got there, and sending again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, QueryParameter, RawBody

from northstar.domain.api_keys import Scope
from northstar.domain.webhooks import (
    Delivery,
    DeliveryPage,
    NewWebhook,
    Redelivered,
    RedeliverTerms,
    RotateTerms,
    WebhookChange,
    Webhooks,
    WebhookTerms,
    WebhookView,
)
from northstar.store.history.webhook_log import MAX_PAGE
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.bodies import MAX_BODY_BYTES, read_body

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.webhooks.desk import WebhookDesk

WEBHOOKS: Final = "/v1/webhooks"
_ONE: Final = f"{WEBHOOKS}/{{webhook:str}}"
_DELIVERIES: Final = f"{_ONE}/deliveries"
#: For the description of routes: of what makes or changes a webhook, and of what sends.
_MAKING: Final = (
    "NS_DOCUMENT_CHANGED",
    "NS_TOO_MANY_WEBHOOKS",
    "NS_WEBHOOK_INVALID",
    "NS_WEBHOOK_KEY_FOREIGN",
    "NS_WEBHOOK_KEY_MISSING",
)
_SENDING: Final = ("NS_WEBHOOK_FULL", "NS_WEBHOOK_OFF")
_Asked = Request[Any, Any, Any]
_Status = Annotated[Literal["waiting", "delivered", "failed"] | None, QueryParameter()]
_Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)]
_Cursor = Annotated[str, QueryParameter(max_length=2_048)]


def keeping_routes(desk: WebhookDesk) -> list[HTTPRouteHandler]:
    """Webhooks come, change and go."""

    @post(
        WEBHOOKS,
        status_code=201,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.SUBMIT, "body": WebhookTerms, "codes": _MAKING},
    )
    async def make_webhook(request: _Asked, body: RawBody) -> Response[NewWebhook]:
        """Make a webhook. Its secret is in this answer, and nowhere else. Takes the scope `read` too."""
        made = await desk.make(caller_of(request), read_body(body, WebhookTerms))
        return Response(made, status_code=201, headers={"Location": f"{WEBHOOKS}/{made.webhook.id}"})

    @get(WEBHOOKS, opt={"scope": Scope.READ})
    async def list_webhooks(request: _Asked) -> Webhooks:
        """All webhooks of the key's tenant, the oldest first."""
        return await desk.all(caller_of(request))

    @get(_ONE, opt={"scope": Scope.READ})
    async def get_webhook(request: _Asked, webhook: FromPath[str]) -> WebhookView:
        """One webhook, and how its receiver behaves."""
        return await desk.get(caller_of(request), webhook)

    @patch(
        _ONE, request_max_body_size=MAX_BODY_BYTES, opt={"scope": Scope.SUBMIT, "body": WebhookChange, "codes": _MAKING}
    )
    async def change_webhook(request: _Asked, webhook: FromPath[str], body: RawBody) -> WebhookView:
        """Change where it leads, what it tells of, or switch it on or off. Takes the scope `read` too."""
        return await desk.change(caller_of(request), webhook, read_body(body, WebhookChange))

    @delete(_ONE, status_code=204, opt={"scope": Scope.SUBMIT})
    async def remove_webhook(request: _Asked, webhook: FromPath[str]) -> None:
        """Forget a webhook and what it was sent."""
        await desk.remove(caller_of(request), webhook)

    @post(
        f"{_ONE}/rotate",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.SUBMIT, "body": RotateTerms, "codes": _MAKING},
    )
    async def rotate_webhook(request: _Asked, webhook: FromPath[str], body: RawBody) -> NewWebhook:
        """Give a webhook another secret; for a time of grace both sign. Takes the scope `read` too."""
        return await desk.rotate(caller_of(request), webhook, grace_s=read_body(body, RotateTerms).grace_s)

    return [make_webhook, list_webhooks, get_webhook, change_webhook, remove_webhook, rotate_webhook]


def delivery_routes(desk: WebhookDesk) -> list[HTTPRouteHandler]:
    """What was sent, and sending again."""

    @post(f"{_ONE}/test", status_code=202, opt={"scope": Scope.SUBMIT, "history": True, "codes": _SENDING})
    async def test_webhook(request: _Asked, webhook: FromPath[str]) -> Delivery:
        """Send something that tells of nothing; its delivery says what became of it."""
        return await desk.test(caller_of(request), webhook)

    @get(_DELIVERIES, opt={"scope": Scope.READ, "history": True, "codes": ("NS_HISTORY_QUERY_INVALID",)})
    async def list_deliveries(
        request: _Asked,
        webhook: FromPath[str],
        status: _Status = None,
        limit: _Limit = 50,
        cursor: _Cursor = "",
    ) -> DeliveryPage:
        """What was sent, page by page, the latest first."""
        return await desk.deliveries(caller_of(request), webhook, status=status or "", cursor=cursor, count=limit)

    @get(f"{_DELIVERIES}/{{delivery:str}}", opt={"scope": Scope.READ, "history": True})
    async def get_delivery(request: _Asked, webhook: FromPath[str], delivery: FromPath[str]) -> Delivery:
        """One delivery, with what its receiver answered last."""
        return await desk.delivery(caller_of(request), webhook, delivery)

    @post(
        f"{_DELIVERIES}/{{delivery:str}}/redeliver",
        status_code=202,
        opt={"scope": Scope.SUBMIT, "history": True, "codes": _SENDING},
    )
    async def redeliver_one(request: _Asked, webhook: FromPath[str], delivery: FromPath[str]) -> Delivery:
        """Send one again, under the same `webhook-id`."""
        return await desk.redeliver(caller_of(request), webhook, delivery)

    @post(
        f"{_ONE}/redeliver",
        status_code=202,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.SUBMIT, "body": RedeliverTerms, "history": True, "codes": _SENDING},
    )
    async def redeliver_failed(request: _Asked, webhook: FromPath[str], body: RawBody) -> Redelivered:
        """Send all that was given up since then again, the oldest first, at most 1,000 a call."""
        since_ms = read_body(body, RedeliverTerms).since_ms
        return await desk.redeliver_failed(caller_of(request), webhook, since_ms=since_ms)

    return [test_webhook, list_deliveries, get_delivery, redeliver_one, redeliver_failed]


def webhook_routes(desk: WebhookDesk) -> list[HTTPRouteHandler]:
    """All routes of webhooks."""
    return [*keeping_routes(desk), *delivery_routes(desk)]
