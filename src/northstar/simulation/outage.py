"""The server of the queue goes away for a while and comes back with all that it had.

It is ended for real, in good order, and started again on its append-only file. Meanwhile nobody reaches it: machines go on with what
they have, clients try again as the SDK does, and the broker does nothing. Afterwards the cell's rule for such gaps holds: where nobody could
renew for longer than half a lease, all expiries shift by the gap.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from northstar.domain.limits import CellLimits
from northstar.store.embedded import EmbeddedValkey, ServerOptions

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class SimulationServer:
    """The server of one simulation. Open it with `async with`."""

    def __init__(self, *, keeps: bool) -> None:
        """`keeps`: it may be restarted, so it has an append-only file; else it keeps nothing."""
        self._folder = TemporaryDirectory(prefix="northstar-simulation-") if keeps else None
        folder = None if self._folder is None else Path(self._folder.name) / "valkey"
        # It ends in good order whenever it ends, so no call has to wait for the disk.
        self._valkey = EmbeddedValkey(folder, options=ServerOptions(append_only=keeps, fsync="no"))

    @property
    def url(self) -> str:
        """Its address while it runs; another one at each start."""
        return self._valkey.url

    @property
    def socket(self) -> str:
        """The path of its socket."""
        return unquote(urlsplit(self.url).path)

    async def start(self) -> None:
        """With what it had when it stopped. Raises ValkeyStartFailed and the like."""
        await self._valkey.start()

    async def stop(self) -> None:
        """End it, with all that it has in its file."""
        await self._valkey.stop()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self._clear()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        finally:
            self._clear()

    def _clear(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def skipped_ms(gap_ms: int) -> int:
    """By how much expiries shift after a gap, with the leases that a cell has unless its limits say otherwise.

    >>> skipped_ms(15_000), skipped_ms(15_001)
    (0, 15001)
    """
    return gap_ms if gap_ms > CellLimits().lease_ms / 2 else 0
