"""What is wrong in a file of pools, as whoever wrote it understands it: the file, the table, the key, and what to do."""

from __future__ import annotations

import msgspec

from northstar.domain.errors import InvalidRequest
from northstar.domain.misfits import alike, misfit


class InvalidPools(InvalidRequest):
    """A file of pools cannot be used. `table` and `key` are where the first problem stands; empty where it is the whole file's."""

    code = "NS_INVALID_POOLS"

    def __init__(self, problem: str, *, source: str, table: str = "", key: str = "") -> None:
        named = " ".join(filter(None, (f"[{table}]" if table else "", f"`{key}`" if key else "")))
        super().__init__(f"{source}: {named}{' ' if named else ''}{problem}")
        self.source = source
        self.table = table
        self.key = key
        self.problem = problem


class NoSuchPool(InvalidRequest):
    """There is no pool of this name."""

    code = "NS_NO_SUCH_POOL"

    def __init__(self, name: str, *, known: tuple[str, ...]) -> None:
        near = alike(name, list(known))
        hint = f"; did you mean {near!r}?" if near else ""
        super().__init__(f"there is no pool {name!r}; there are {', '.join(known) or 'none yet'}{hint}")
        self.name = name
        self.known = known


def told(exc: msgspec.ValidationError, *, table: str, kind: type[msgspec.Struct], source: str) -> InvalidPools:
    """The library's words about a table that should be a `kind`, as the place and what to do."""
    found = misfit(exc, kind)
    return InvalidPools(found.problem, source=source, table=".".join(filter(None, (table, found.place))), key=found.key)
