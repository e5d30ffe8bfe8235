"""Giving out no work of a cell or a pool for a while, and giving it out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from northstar.config.pool_errors import NoSuchPool
from northstar.domain.budgets import NORTH_STAR
from northstar.domain.errors import InvalidRequest
from northstar.store.pauses import read_pauses
from northstar.store.words import known_words, undeclared

if TYPE_CHECKING:
    from northstar.store.cell import Cell


class NoSuchScope(InvalidRequest):
    """What was named cannot be paused."""

    code: ClassVar[str] = "NS_NO_SUCH_SCOPE"

    def __init__(self, scope: str) -> None:
        super().__init__(f"{scope!r} cannot be paused or resumed; name `cell`, or one pool as `pool:NAME`")
        self.scope = scope


def check_scope(scope: str) -> None:
    """Raises NoSuchScope."""
    kind, _, name = scope.partition(":")
    if scope != "cell" and not (kind == "pool" and name and len(scope) <= 128):
        raise NoSuchScope(scope[:140])


async def pause(cell: Cell, scope: str, *, because: str, by: str) -> bool:
    """Give out no work of a scope; what runs goes on, and submissions are accepted. False if it was paused already.

    Raises:
        NoSuchScope: it is none. NoSuchPool: no pool of the name is known.
    """
    check_scope(scope)
    # Only here: what is paused can be resumed even if nobody knows the pool any more.
    if scope != "cell" and await undeclared(cell.client, cell.keys, [scope]):
        known = await known_words(cell.client, cell.keys, "pool")
        raise NoSuchPool(scope.partition(":")[2], known=tuple(known))
    if await cell.pause(scope, because=because, by=by):
        return True
    # One that stands for a spent budget ends with that. An operator's must not, so it takes the place of the other.
    pauses = await read_pauses(cell.client, cell.keys)
    if any(one.scope == scope and one.by == NORTH_STAR for one in pauses):
        await cell.resume(scope, by=NORTH_STAR)
        return await cell.pause(scope, because=because, by=by)
    return False


async def resume(cell: Cell, scope: str, *, by: str) -> bool:
    """Give out its work again. False if it was not paused. Raises NoSuchScope."""
    check_scope(scope)
    return await cell.resume(scope, by=by)
