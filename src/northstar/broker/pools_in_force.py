"""The pools of a cell that hold now: those that an operator has applied, else those that the process was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from northstar.broker.applied_files import AppliedFile, AppliedFiles
from northstar.broker.in_force import InForce
from northstar.config.pools import PACKAGED, packaged_pools, read_pools_text
from northstar.domain.errors import Refused
from northstar.domain.pools import Pools

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.store.cell import Cell

_KIND: Final = "pools"


class NothingApplied(Refused):
    """No pools were applied to the cell, so there are none to take back."""

    code: ClassVar[str] = "NS_NO_POOLS_APPLIED"

    def __init__(self) -> None:
        super().__init__(
            "no pools were applied to this cell, so there are none to take back; what holds: northstar pools list"
        )


class NoSuchPools(Refused):
    """The cell has no pools of this version any more."""

    code: ClassVar[str] = "NS_NO_SUCH_POOLS"

    def __init__(self, version: int, *, kept: tuple[int, ...] = ()) -> None:
        numbers = ", ".join(map(str, kept)) or "none"
        super().__init__(
            f"the cell keeps no pools of version {version}; versions that it keeps: {numbers} (northstar pools history)"
        )
        self.version = version


def applied_pools(cell: Cell) -> AppliedFiles[Pools]:
    """The files of pools that were applied to the cell."""
    return AppliedFiles(cell, _KIND, read=_pools_of)


def _pools_of(applied: AppliedFile) -> Pools:
    return read_pools_text(applied.text, source=applied.source)


class PoolsInForce(InForce[Pools]):
    """The pools that hold for one process.

    Applied pools that this process cannot use, because a newer version wrote them, change nothing: those that held before go on.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        otherwise: Pools | None = None,
        look_every_s: float = 5.0,
        changed: Callable[[Pools], Awaitable[None]] | None = None,
    ) -> None:
        """`otherwise` hold where none are applied; without it, those that come with North Star. `changed` is told by `run` of others."""
        super().__init__(
            applied_pools(cell),
            otherwise=otherwise or packaged_pools(),
            if_unusable="those before hold",
            look_every_s=look_every_s,
            changed=changed,
        )

    @property
    def latest(self) -> Pools:
        """As of the last look."""
        return self._value

    @property
    def source(self) -> str:
        """From where they are, for people."""
        if self._applied is None:
            return PACKAGED if self._otherwise == packaged_pools() else "the settings"
        return super().source
