"""`northstar pause` and `northstar resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, me, run, settings_of
from northstar.surfaces.cli.printing import console, print_json

if TYPE_CHECKING:
    from northstar.config import Settings


class NoSuchScope(InvalidRequest):
    """What was named cannot be paused."""

    code: ClassVar[str] = "NS_NO_SUCH_SCOPE"

    def __init__(self, scope: str) -> None:
        super().__init__(f"{scope!r} cannot be paused or resumed; name `cell`, or one pool as `pool:NAME`")
        self.scope = scope


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
    _check(scope)
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
    _check(scope)
    changed = run(_resume(settings_of(config, data_dir, valkey, cell), scope))
    _tell(scope, "resumed" if changed else "was not paused", changed=changed, as_json=as_json)


def _check(scope: str) -> None:
    kind, _, name = scope.partition(":")
    if scope != "cell" and not (kind == "pool" and name):
        raise NoSuchScope(scope)


def _tell(scope: str, words: str, *, changed: bool, as_json: bool) -> None:
    if as_json:
        print_json({"scope": scope, "changed": changed})
    else:
        console().print(f"{scope}  {words}", markup=False)


async def _pause(settings: Settings, scope: str, *, because: str) -> bool:
    from northstar.assembly.session import session
    from northstar.config.pool_errors import NoSuchPool
    from northstar.store.words import known_words, undeclared

    async with session(settings) as broker:
        client, keys = broker.cell.client, broker.cell.keys
        # Only here: what is paused can be resumed even if nobody knows the pool any more.
        if scope != "cell" and await undeclared(client, keys, [scope]):
            raise NoSuchPool(scope.partition(":")[2], known=tuple(await known_words(client, keys, "pool")))
        return await broker.cell.pause(scope, because=because, by=me())


async def _resume(settings: Settings, scope: str) -> bool:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        return await broker.cell.resume(scope, by=me())
