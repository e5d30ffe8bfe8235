"""Why a copy of a cell cannot be taken, or cannot take its place."""

from __future__ import annotations

from northstar.domain.amounts import size
from northstar.domain.errors import Refused, Unavailable


class CopyNeedsMemory(Unavailable):
    """The server has no room for a second copy of the cell beside the first."""

    code = "NS_COPY_NEEDS_MEMORY"

    def __init__(self, *, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(
            f"a copy of the cell takes about {size(needed_bytes)} of the server's memory while it is read, and {size(free_bytes)} "
            "are left below its limit: raise maxmemory, or take the copy when less work waits"
        )
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class CopyLost(Unavailable):
    """The copy went while it was read or written: the server was started anew, or nobody renewed it in time."""

    code = "NS_COPY_LOST"

    def __init__(self, *, part: str, found: int, wanted: int) -> None:
        super().__init__(
            f"the copy of the cell is not whole any more ({part} has {found} of {wanted} entries); the cell itself was not touched: "
            "run the same command again"
        )
        self.part = part


class CellNotEmpty(Refused):
    """There is a cell of this name already, and nobody said that it may go."""

    code = "NS_CELL_NOT_EMPTY"

    def __init__(self, cell: str) -> None:
        super().__init__(
            f"there is a cell {cell} here already; restore into an empty place, or add --yes-replace-everything, after which nothing of "
            "it is left"
        )
        self.cell = cell


class CellChanged(Refused):
    """Somebody wrote to the cell in the moment in which it was to be replaced."""

    code = "NS_CELL_CHANGED"

    def __init__(self, cell: str) -> None:
        super().__init__(
            f"somebody else wrote to cell {cell} while it was being restored, so nothing was put in its place: stop all brokers of it, "
            "and run the same command again"
        )
        self.cell = cell


class EpochOutOfReach(Refused):
    """The history knows the cell in an epoch that no restart of this cell can have reached."""

    code = "NS_EPOCH_OUT_OF_REACH"

    def __init__(self, *, cell: str, epoch: int, wanted: int) -> None:
        super().__init__(
            f"the history has cell {cell} up to epoch {wanted}, and the backup is of epoch {epoch}: it is hardly of this cell; set history.url "
            "to another, or move that one away"
        )
        self.wanted = wanted
