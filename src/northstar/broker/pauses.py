"""Giving out no work of a cell or a pool for a while, and giving it out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from northstar.config.pool_errors import NoSuchPool
from northstar.domain.budgets import NORTH_STAR
from northstar.domain.errors import InvalidRequest
from northstar.store.pauses import as_taken_over, give_up, read_pauses, take_over
from northstar.store.words import known_words, undeclared

if TYPE_CHECKING:
    from northstar.store.cell import Cell
    from northstar.store.pauses import Pause

CELL: Final = "cell"


class NoSuchScope(InvalidRequest):
    """What was named cannot be paused."""

    code: ClassVar[str] = "NS_NO_SUCH_SCOPE"

    def __init__(self, scope: str) -> None:
        super().__init__(f"{scope!r} cannot be paused or resumed; name `cell`, or one pool as `pool:NAME`")
        self.scope = scope


def check_scope(scope: str) -> None:
    """Raises NoSuchScope."""
    kind, _, name = scope.partition(":")
    if scope != CELL and not (kind == "pool" and name and len(scope) <= 128):
        raise NoSuchScope(scope[:140])


async def pause(cell: Cell, scope: str, *, because: str, by: str) -> bool:
    """Give out no work of a scope; what runs goes on, and submissions are accepted. False if it was paused already.

    Raises:
        NoSuchScope: it is none. NoSuchPool: no pool of the name is known.
    """
    check_scope(scope)
    # Only here: what is paused can be resumed even if nobody knows the pool any more.
    if scope != CELL and await undeclared(cell.client, cell.keys, [scope]):
        known = await known_words(cell.client, cell.keys, "pool")
        raise NoSuchPool(scope.partition(":")[2], known=tuple(known))
    if await cell.pause(scope, because=because, by=by):
        return True
    # One that stands for a spent budget ends with that. An operator's must not, so it becomes that of the operator, and holds meanwhile.
    found = await _budgets_own(cell, scope)
    if found is None:
        return False
    await take_over(cell, found, because=because, by=by)
    # In this moment the budget may have been there again: then its pause has ended, and ours begins.
    await cell.pause(scope, because=because, by=by)
    return True


async def resume(cell: Cell, scope: str, *, by: str) -> bool:
    """Give out its work again. False if it was not paused. Raises NoSuchScope."""
    check_scope(scope)
    await give_up(cell, scope, by=by)
    return await cell.resume(scope, by=by)


async def resume_after_budget(cell: Cell) -> None:
    """End the pause that stands for the fleet's budget; one that an operator takes over in this moment is that one's from now on."""
    found = await _budgets_own(cell, CELL)
    if found is None:
        return
    await cell.resume(CELL, by=NORTH_STAR)
    now = await as_taken_over(cell.client, cell.keys, found)
    if now.by != NORTH_STAR:
        await cell.pause(CELL, because=now.because, by=now.by)


async def _budgets_own(cell: Cell, scope: str) -> Pause | None:
    """The pause of a scope that stands for a spent budget; None: there is none, or it is somebody's own."""
    pauses = await read_pauses(cell.client, cell.keys)
    return next((one for one in pauses if one.scope == scope and one.by == NORTH_STAR), None)
