"""Which pools a command shows, and whose word they are: applied to the cell, of a file, or packaged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from northstar.domain.pools import Pools
from northstar.surfaces.cli.printing import moment

if TYPE_CHECKING:
    from northstar.broker.applied_files import AppliedFile
    from northstar.config import Settings

_NOTHING_APPLIED: Final = "nobody has applied others: northstar pools apply FILE"


class ShownPools(msgspec.Struct, frozen=True, kw_only=True):
    """Pools and where they come from. `cell` is empty where no cell was asked; `absent` says why it could not be."""

    pools: Pools
    source: Literal["applied", "file", "packaged"]
    file: str = ""
    cell: str = ""
    absent: str = ""
    version: int = 0
    by: str = ""
    at_ms: int = 0

    def sentence(self) -> str:
        """Whose word these pools are, for people."""
        whose = "those that come with North Star" if self.source == "packaged" else f"those of {self.file}"
        if self.source == "applied":
            return f"in force in cell {self.cell}: version {self.version}, from {self.file}, applied by {self.by} at {moment(self.at_ms)}"
        if self.cell:
            return f"in force in cell {self.cell}: {whose}; {_NOTHING_APPLIED}"
        if self.absent:
            return f"{self.absent}. Were a cell started with these settings, {whose} would hold in it"
        return f"{whose}; what is in force in a cell, northstar pools list says"

    def as_json(self) -> dict[str, Any]:
        """The same for programs; null where there is nothing to say."""
        return {
            "source": self.source,
            "file": self.file or None,
            "cell": self.cell or None,
            "absent": self.absent or None,
            "version": self.version or None,
            "by": self.by or None,
            "at_ms": self.at_ms or None,
        }


def named(file: Path | None) -> ShownPools:
    """The pools of a file, or the packaged ones. Raises InvalidPools."""
    from northstar.config.pools import load_pools, packaged_pools

    if file is None:
        return ShownPools(pools=packaged_pools(), source="packaged")
    return ShownPools(pools=load_pools(file), source="file", file=str(file))


def configured(settings: Settings) -> ShownPools:
    """The pools that hold where none are applied. Raises InvalidPools."""
    return named(Path(settings.routing.pools_file) if settings.routing.pools_file else None)


async def in_force(settings: Settings) -> ShownPools:
    """The pools that hold in the cell of the settings; where no cell runs, those that would hold in it.

    Raises:
        InvalidPools: this version of North Star cannot use them. Unavailable: the cell's server does not answer.
    """
    from northstar.assembly.run_file import NotRunning
    from northstar.assembly.session import session
    from northstar.broker.pools_in_force import applied_pools
    from northstar.domain.refusals import CellMissing

    try:
        async with session(settings) as broker:
            await broker.cell.inspect(())  # only a cell that was opened can have pools in force
            applied = await applied_pools(broker.cell).current()
            name = broker.cell.name
    except (NotRunning, CellMissing) as exc:
        return msgspec.structs.replace(configured(settings), absent=f"no cell runs here ({exc.code}: {exc})")
    if applied is None:
        return msgspec.structs.replace(configured(settings), cell=name)
    return _of(applied, cell=name)


def _of(applied: AppliedFile, *, cell: str) -> ShownPools:
    from northstar.config.pools import read_pools_text

    return ShownPools(
        pools=read_pools_text(applied.text, source=applied.source),
        source="applied",
        file=applied.source,
        cell=cell,
        version=applied.version,
        by=applied.by,
        at_ms=applied.at_ms,
    )
