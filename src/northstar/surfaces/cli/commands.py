"""Which commands there are, and where each is: the one place that says what is loaded late.

A command is loaded when it is asked for: itself, to run it or to show its help; all that a group or the program has, for the help of
those. Whoever types `northstar jobs list` waits for what lists jobs, and for nothing that serves, draws or keeps a history.

Three rules keep it so, and a test measures them:

* A command imports at its top only the standard library, msgspec, Typer, settings and the plain things of the domain. What it runs, it
  imports when it runs.
* Rich is imported by what prints with it, when it prints (`printing`).
* structlog is imported with the first line that is logged, by `northstar.telemetry`, of which every module has its logger.
"""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer
import typer.main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typer.core import TyperGroup

_HERE: Final = __name__.rpartition(".")[0]
#: By this variable a shell asks for what can be typed next; see `completion`.
COMPLETE_VARIABLE: Final = "_NORTHSTAR_COMPLETE"


class Group(NamedTuple):
    """Commands behind one name: what its help says of it, and where each is, in the order of that help."""

    help: str
    commands: Mapping[str, str]


#: The program's commands in the order of its help: each a function in a module of this package, or a group of such.
COMMANDS: Final[Mapping[str, str | Group]] = {
    "version": "program.version",
    "demo": "demo.demo",
    "up": "up.up",
    "serve": "serve.serve",
    "agent": "agent.agent",
    "worker": "worker.worker",
    "submit": "submit.submit",
    "status": "status.status",
    "explain": "explain.explain",
    "logs": "logs.logs",
    "events": "job_events.events",
    "cancel": "jobs.cancel",
    "retry": "dead.replay",
    "history": "history.history",
    "costs": "costs.costs",
    "export": "export.export",
    "simulate": "simulate.simulate",
    "plan": "plan.plan",
    "evaluate": "evaluate.evaluate",
    "gate": "gate.gate",
    "doctor": "doctor.doctor",
    "backup": "backup.backup",
    "restore": "restore.restore",
    "pause": "pauses.pause",
    "resume": "pauses.resume",
    "completion": "completion.completion",
    "validate": Group(
        "Validate performance, costs and reliability again and again, and compare with before.",
        {
            "weekly": "validate.weekly",
            "monthly": "validate.monthly",
            "reliability": "validate.reliability",
            "show": "validate.show",
        },
    ),
    "jobs": Group(
        "Look at jobs and change what becomes of them.",
        {
            "list": "jobs.list_",
            "cancel": "jobs.cancel",
            "reprioritise": "jobs.reprioritise",
            "show": "show.show",
            "watch": "watch.watch",
            "outputs": "outputs.outputs",
            "events": "job_events.events",
        },
    ),
    "dead": Group(
        "Look at failed jobs (dead letters), and send them back to work.",
        {
            "show": "show.show",
            "list": "dead.list_",
            "replay": "dead.replay",
        },
    ),
    "machines": Group(
        "Look at machines, invite, drain and remove them.",
        {
            "list": "machines.list_",
            "drain": "machines.drain",
            "remove": "machines.remove",
            "show": "machine_sheet.show",
            "invite": "invites.invite",
            "uninvite": "invites.uninvite",
            "invites": "invites.invites",
            "approve": "tokens.approve",
            "revoke": "tokens.revoke",
            "tokens": "tokens.tokens",
            "fetch": "model_orders.fetch",
            "evict": "model_orders.evict",
            "orders": "model_orders.orders",
        },
    ),
    "models": Group(
        "Declare models, so that jobs only need to name them.",
        {
            "list": "models.list_",
            "show": "models.show",
            "remove": "models.remove",
            "add": "model_add.add",
            "import": "model_add.import_",
        },
    ),
    "pools": Group(
        "Look at pools, check and compare a file of them, and print their workflows.",
        {
            "list": "pools.list_",
            "show": "pools.show",
            "print": "pools.print_",
            "check": "pools.check",
            "diff": "pools.diff",
            "workflows": "pools.workflows",
            "workflow": "pools.workflow",
            "apply": "pools_apply.apply",
            "current": "pools_apply.current",
            "history": "pools_apply.history",
            "reset": "pools_apply.reset",
        },
    ),
    "keys": Group(
        "Give keys for the HTTP interface, replace and revoke them.",
        {
            "add": "keys.add",
            "list": "keys.list_",
            "show": "keys.show",
            "rotate": "keys.rotate",
            "revoke": "keys.revoke",
        },
    ),
    "tenants": Group(
        "Look at what was agreed with tenants, check and compare a file of it, and put it in force.",
        {
            "list": "tenants.list_",
            "show": "tenants.show",
            "check": "tenants.check",
            "diff": "tenants.diff",
            "apply": "tenants.apply",
            "current": "tenants.current",
            "history": "tenants.history",
            "reset": "tenants.reset",
        },
    ),
    "budget": Group(
        "Look at what the whole fleet may cost, set it, and lift it.",
        {"show": "budget.show", "set": "budget.set_", "lift": "budget.lift"},
    ),
    "webhooks": Group(
        "Have receivers outside told of events, and see what became of each message.",
        {
            "add": "webhooks.add",
            "list": "webhooks.list_",
            "show": "webhooks.show",
            "change": "webhooks.change",
            "rotate": "webhooks.rotate",
            "remove": "webhooks.remove",
            "test": "webhook_deliveries.trial",
            "deliveries": "webhook_deliveries.deliveries",
            "redeliver": "webhook_deliveries.redeliver",
        },
    ),
}


def plain(name: str, *, help: str = "", epilog: str | None = None) -> typer.Typer:  # noqa: A002 - as Typer names it
    """A program or a group as ours are: plain text, help where no command is named."""
    return typer.Typer(
        name=name,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help=help,
        epilog=epilog,
    )


def with_commands(parent: typer.Typer, places: Mapping[str, str | Group]) -> TyperGroup:
    """The program or group with these commands, none of them loaded yet."""
    group = typer.main.get_group(parent)
    commands: Any = _Commands(places)
    group.commands = commands
    return group


def function_at(place: str) -> Callable[..., None]:
    """Load the function of a command."""
    module, _, name = place.partition(".")
    found: Callable[..., None] = getattr(import_module(f"{_HERE}.{module}"), name)
    return found


class _Commands(UserDict[str, Any]):
    """Commands by name; each is loaded when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, Group):
            found = self.data[name] = with_commands(plain(name, help=found.help), found.commands)
        elif isinstance(found, str):
            single = plain(name)
            single.command(name)(function_at(found))
            found = self.data[name] = typer.main.get_command(single)
        return found
