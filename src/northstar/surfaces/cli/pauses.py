"""`northstar pause` and `northstar resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, me, run, settings_of
from northstar.surfaces.cli.printing import console, print_json

if TYPE_CHECKING:
    from northstar.config import Settings

Scope = Annotated[str, typer.Argument(metavar="SCOPE", help="`cell`, or `pool:NAME`.")]


def pause(
    scope: Scope,
    because: Annotated[str, typer.Option(help="Why, for whoever wonders.")] = "paused by an operator",
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Give out no work of a scope; what runs goes on, and submissions are accepted."""
    from northstar.broker.pauses import check_scope

    check_scope(scope)
    changed = run(_pause(settings_of(config, data_dir, valkey, cell), scope, because=because))
    _tell(scope, "paused" if changed else "was paused already", changed=changed, as_json=as_json)


def resume(
    scope: Scope,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Give out the work of a scope again."""
    from northstar.broker.pauses import check_scope

    check_scope(scope)
    changed = run(_resume(settings_of(config, data_dir, valkey, cell), scope))
    _tell(scope, "resumed" if changed else "was not paused", changed=changed, as_json=as_json)


def _tell(scope: str, words: str, *, changed: bool, as_json: bool) -> None:
    if as_json:
        print_json({"scope": scope, "changed": changed})
    else:
        console().print(f"{scope}  {words}", markup=False)


async def _pause(settings: Settings, scope: str, *, because: str) -> bool:
    from northstar.assembly.session import session
    from northstar.broker import pauses

    async with session(settings) as broker:
        return await pauses.pause(broker.cell, scope, because=because, by=me())


async def _resume(settings: Settings, scope: str) -> bool:
    from northstar.assembly.session import session
    from northstar.broker import pauses

    async with session(settings) as broker:
        return await pauses.resume(broker.cell, scope, by=me())
