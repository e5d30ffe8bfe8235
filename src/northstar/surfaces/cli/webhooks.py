"""`northstar webhooks`: who is told of which events.

A secret stands alone on the standard output, so that it can be captured; all that is said of it goes to the standard error.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import msgspec
import typer

from northstar.domain.misfits import misfit_told
from northstar.domain.webhooks import RotateTerms, WebhookChange, WebhookInvalid, WebhookTerms
from northstar.surfaces.cli.durations import milliseconds
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, confirm, me, run, settings_of
from northstar.surfaces.cli.pasting import pasteable
from northstar.surfaces.cli.printing import console, harmless, moment, print_hint, print_json, print_table, print_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from northstar.broker.webhooks.deliveries import Deliveries
    from northstar.broker.webhooks.registry import WebhookRegistry
    from northstar.config import Settings
    from northstar.domain.webhooks import NewWebhook, WebhookHealth, WebhookView

Result = TypeVar("Result")
WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id.")]
Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        metavar="KIND",
        help="completed, start or all (of jobs), one kind such as job.failed, or a family such as machine; again for more. [completed]",
    ),
]
COLUMNS: Final = ("WEBHOOK", "STATE", "TENANT", "EVENTS", "URL", "CREATED (UTC)", "CHANGED BY")
#: The tenant of jobs that name none, and so of webhooks that name none.
_USUAL_TENANT: Final = "default"


def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent by POST.")],
    event: Events = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="NAME", help="The one tenant whose jobs it tells of. [default]")
    ] = None,
    all_tenants: Annotated[
        bool,
        typer.Option("--all-tenants", help="It tells of the jobs of every tenant, and may tell of more than jobs."),
    ] = False,
    description: Annotated[str, typer.Option(metavar="WORDS", help="What people call it.")] = "",
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Make a webhook and print its secret, once: the text alone on the standard output, so that it can be captured."""
    if tenant is not None and all_tenants:
        raise WebhookInvalid("it is of one tenant or of all; give --tenant or --all-tenants, not both")
    whose = None if all_tenants else tenant or _USUAL_TENANT
    given = {"url": url, "events": tuple(event or ("completed",)), "tenant": whose, "description": description}
    terms = _read(given, WebhookTerms)
    settings = settings_of(config, data_dir, valkey, cell)
    _print_secret(run(with_webhooks(settings, lambda registry: registry.make(terms, by=me()))), as_json=as_json)


def list_(
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List all webhooks, the oldest first."""
    views = run(with_webhooks(settings_of(config, data_dir, valkey, cell), lambda registry: registry.views()))
    if as_json:
        print_json({"webhooks": views})
        return
    print_table(COLUMNS, map(_cells, views))
    if not views:
        print_hint("there are no webhooks; next: northstar webhooks add URL")


def show(
    webhook: WebhookId,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show a webhook, and how its receiver behaves."""
    settings = settings_of(config, data_dir, valkey, cell)
    view = run(with_webhooks(settings, lambda registry: registry.view(webhook)))
    health = run(with_deliveries(settings, lambda deliveries: deliveries.health(webhook)))
    if as_json:
        print_json(msgspec.structs.replace(view, health=health))
        return
    for word, value in _sheet(view, health):
        print_text(f"{word:<12} {harmless(value)}")


def change(
    webhook: WebhookId,
    url: Annotated[str | None, typer.Option(help="Another address.")] = None,
    event: Events = None,
    description: Annotated[str | None, typer.Option(metavar="WORDS", help="What people call it.")] = None,
    enabled: Annotated[
        bool | None, typer.Option("--on/--off", help="Send again, beginning with what happens then; or nothing.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Change where a webhook leads or what it tells of, or switch it on or off."""
    events = tuple(event) if event else None
    wanted = _read({"url": url, "events": events, "description": description, "enabled": enabled}, WebhookChange)
    settings = settings_of(config, data_dir, valkey, cell)
    view = run(with_deliveries(settings, lambda deliveries: deliveries.change(webhook, wanted, by=me())))
    if as_json:
        print_json(view)
    else:
        console().print(f"{view.id}  {_state(view)}: {harmless(view.url)}", markup=False)


def rotate(
    webhook: WebhookId,
    grace: Annotated[
        str, typer.Option(metavar="TIME", help="How long the present secret signs beside the new one; 0s: no longer.")
    ] = "1d",
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Give a webhook a new secret and print it, once. Without a time of grace the command asks first."""
    terms = _read({"grace_s": milliseconds(grace) / 1000}, RotateTerms)
    settings = settings_of(config, data_dir, valkey, cell)
    if not terms.grace_s:
        confirm(
            f"the receiver of webhook {webhook} verifies nothing until it has the new secret", yes=yes, as_json=as_json
        )
    made = run(with_webhooks(settings, lambda registry: registry.rotate(webhook, grace_s=terms.grace_s, by=me())))
    _print_secret(made, as_json=as_json)


def remove(
    webhook: WebhookId,
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Forget a webhook and what it was sent."""
    settings = settings_of(config, data_dir, valkey, cell)
    view = run(with_webhooks(settings, lambda registry: registry.view(webhook)))
    confirm(
        f"webhook {view.id} ({harmless(view.url)}) is told nothing more, and its log goes", yes=yes, as_json=as_json
    )
    run(with_webhooks(settings, lambda registry: registry.remove(webhook, by=me())))
    if as_json:
        print_json({"webhook": webhook, "removed": True})
    else:
        console().print(f"{webhook}  removed", markup=False)


async def with_webhooks(settings: Settings, work: Callable[[WebhookRegistry], Awaitable[Result]]) -> Result:
    """Do something with the webhooks of the cell."""
    from northstar.assembly.session import session
    from northstar.assembly.webhooks import registry_as_sent

    async with session(settings) as broker:
        return await work(await registry_as_sent(broker.cell, settings))


async def with_deliveries(settings: Settings, work: Callable[[Deliveries], Awaitable[Result]]) -> Result:
    """Do something with what was sent, which the history has. Raises HistoryUnreadable."""
    from northstar.assembly.job_past import history_of
    from northstar.assembly.session import session
    from northstar.assembly.webhooks import deliveries_of, registry_as_sent

    async with session(settings) as broker, history_of(broker) as history:
        registry = await registry_as_sent(broker.cell, settings)
        return await work(deliveries_of(broker.cell, registry, history))


_Asked = TypeVar("_Asked", WebhookTerms, WebhookChange, RotateTerms)


def _read(given: Mapping[str, object], kind: type[_Asked]) -> _Asked:
    """Raises WebhookInvalid."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as exc:
        raise WebhookInvalid(misfit_told(exc, kind)) from exc


def _print_secret(made: NewWebhook, *, as_json: bool) -> None:
    if as_json:
        print_json({"webhook": made.webhook, "secret": made.secret})
        return
    print_text(made.secret)
    view = made.webhook
    whose = "every tenant" if view.tenant is None else f"tenant {view.tenant}"
    said = (
        f"{view.id}  tells {view.url} of {', '.join(view.events)} of {whose}",
        "By this secret the receiver verifies each message; it is shown only now.",
        f"next: northstar webhooks test {view.id} --wait",
    )
    sys.stderr.write("\n".join(pasteable(harmless(line)) for line in said) + "\n")


def _cells(view: WebhookView) -> tuple[object, ...]:
    events = " ".join(view.events)
    return view.id, _state(view), view.tenant or "every", events, view.url, moment(view.created_ms), view.by


def _state(view: WebhookView) -> str:
    return "on" if view.enabled else f"off ({view.off})"


def _sheet(view: WebhookView, health: WebhookHealth) -> list[tuple[str, str]]:
    return [
        ("webhook", view.id),
        ("state", _state(view)),
        ("url", view.url),
        ("tenant", view.tenant or "every"),
        ("events", ", ".join(view.events)),
        ("description", view.description or "-"),
        ("created", f"{moment(view.created_ms)} by {view.made_by}"),
        ("changed", f"{moment(view.changed_ms)} by {view.by}"),
        ("secrets", "one" if not view.former else f"one, and {view.former} former that still sign"),
        ("deliveries", f"{health.waiting} wait, {health.delivered} delivered, {health.failed} failed"),
        ("delivered", moment(health.delivered_ms)),
        ("failing", f"since {moment(health.failing_since_ms)}" if health.failing_since_ms else "no"),
    ]
