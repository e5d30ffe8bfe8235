"""What can be wrong with pools: their file, and a name that none of them has."""

from __future__ import annotations

from northstar.config.declared_files import InvalidFile
from northstar.domain.errors import InvalidRequest
from northstar.domain.misfits import alike


class InvalidPools(InvalidFile):
    """A file of pools cannot be used. `table` and `key` are where the first problem stands; empty where it is the whole file's."""

    code = "NS_INVALID_POOLS"


class NoSuchPool(InvalidRequest):
    """There is no pool of this name."""

    code = "NS_NO_SUCH_POOL"

    def __init__(self, name: str, *, known: tuple[str, ...]) -> None:
        near = alike(name, list(known))
        hint = f"; did you mean {near!r}?" if near else ""
        super().__init__(f"there is no pool {name!r}; there are {', '.join(known) or 'none yet'}{hint}")
        self.name = name
        self.known = known
