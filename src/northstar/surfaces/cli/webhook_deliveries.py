"""`northstar webhooks test`, `deliveries` and `redeliver`: what became of messages, and sending them again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

import typer

from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.exit_codes import FAILED
from northstar.surfaces.cli.moments import moment_of
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, harmless, moment, print_hint, print_json, print_table
from northstar.surfaces.cli.webhooks import WebhookId, with_deliveries

if TYPE_CHECKING:
    from northstar.broker.webhooks.deliveries import Deliveries
    from northstar.domain.webhooks import Delivery, DeliveryPage, Redelivered

COLUMNS: Final = ("DELIVERY", "STATUS", "EVENT", "OF", "MADE (UTC)", "TRIES", "NEXT (UTC)", "ANSWER", "WHY")
_LOOK_EVERY_S: Final = 0.2
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait for the answer of the first attempt; 1 is the exit code of a bad one.")
]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0, max=3_600, help="With --wait: how long.")
]


class RedeliveryUnclear(InvalidRequest):
    """It is not said which deliveries are sent again."""

    code: ClassVar[str] = "NS_REDELIVERY_UNCLEAR"

    def __init__(self) -> None:
        super().__init__("name one delivery, or give --failed-since WHEN for all that were given up since then")


def trial(
    webhook: WebhookId,
    wait: Wait = False,
    timeout_s: Timeout = 30.0,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Send a receiver something that tells of nothing."""
    settings = settings_of(config, data_dir, valkey, cell)
    done = run(
        with_deliveries(settings, lambda deliveries: _test(deliveries, webhook, wait_s=timeout_s if wait else 0.0))
    )
    _tell(done, as_json=as_json)
    if wait and done.status != "delivered":
        raise typer.Exit(FAILED)


async def _test(deliveries: Deliveries, webhook: str, *, wait_s: float) -> Delivery:
    """The delivery as it is made, or once it was tried."""
    done = await deliveries.test(webhook)
    until_s = time.monotonic() + wait_s
    while wait_s and not done.attempts and done.status == "waiting" and time.monotonic() < until_s:
        await asyncio.sleep(_LOOK_EVERY_S)
        done = await deliveries.get(webhook, done.id)
    return done


def deliveries(
    webhook: WebhookId,
    status: Annotated[Literal["waiting", "delivered", "failed"] | None, typer.Option(help="Only these.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=500, help="So many at once.")] = 50,
    after: Annotated[str, typer.Option("--after", metavar="CURSOR", help="Go on after the page that gave this.")] = "",
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List what a webhook was sent, the latest first, with what its receiver answered last."""
    settings = settings_of(config, data_dir, valkey, cell)

    async def page(log: Deliveries) -> DeliveryPage:
        return await log.page(webhook, status=status or "", cursor=after, count=count)

    found = run(with_deliveries(settings, page))
    if as_json:
        print_json(found)
        return
    print_table(COLUMNS, map(_cells, found.deliveries))
    if found.cursor:
        console().print(f"more: add --after {found.cursor}", markup=False)


def redeliver(
    webhook: WebhookId,
    delivery: Annotated[str | None, typer.Argument(metavar="DELIVERY", help="The id of one.")] = None,
    failed_since: Annotated[
        str | None,
        typer.Option(
            "--failed-since", metavar="WHEN", help="All that were given up of events since then: 7d, 2025-08-26."
        ),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Send one delivery again, or all that failed: under the same `webhook-id`, so that a receiver that has it already can tell."""
    settings = settings_of(config, data_dir, valkey, cell)
    if (delivery is None) == (failed_since is None):
        raise RedeliveryUnclear
    if delivery is not None:
        one = delivery
        _tell(run(with_deliveries(settings, lambda log: log.redeliver(webhook, one))), as_json=as_json)
        return
    since_ms = moment_of(failed_since or "", now_ms=time.time_ns() // 1_000_000)

    async def again(log: Deliveries) -> Redelivered:
        return await log.redeliver_failed(webhook, since_ms=since_ms)

    done = run(with_deliveries(settings, again))
    if as_json:
        print_json(done)
        return
    console().print(f"{done.deliveries} sent again", markup=False)
    if done.more:
        print_hint("there are more; say it again")


def _tell(one: Delivery, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    console().print(f"{one.id}  {one.status}{_why(one)}", markup=False)


def _why(one: Delivery) -> str:
    if one.error:
        return f": {harmless(one.message)}"
    return f": answered {one.answer_status} after {one.took_ms} ms" if one.answer_status else ""


def _cells(one: Delivery) -> tuple[object, ...]:
    next_ms = one.due_ms if one.status == "waiting" else 0
    why = f"{one.error}: {one.message}" if one.error else "-"
    made = moment(one.made_ms)
    return (
        one.id,
        one.status,
        one.event,
        one.subject,
        made,
        one.attempts,
        moment(next_ms),
        one.answer_status or "-",
        why,
    )
