"""What an applied file says to one process, read again as soon as another holds."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Generic, TypeVar

from northstar.config.declared_files import InvalidFile
from northstar.domain.errors import NorthstarError
from northstar.store.bells import Connected, DocumentsChanged
from northstar.store.documents import DocumentUnreadable
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.broker.applied_files import AppliedFile, AppliedFiles
    from northstar.store.bells import Ring

Value = TypeVar("Value")

log = logger(__name__)


class InForce(Generic[Value]):
    """What holds for one process. Whoever listens to the cell's bells passes them to `hear`; `run` looks then, and now and then.

    A file that this process cannot use, because a newer version wrote it, is named once in the log; what follows is each kind's own matter.
    """

    def __init__(
        self,
        files: AppliedFiles[Value],
        *,
        otherwise: Value,
        if_unusable: str,
        look_every_s: float = 5.0,
        changed: Callable[[Value], Awaitable[None]] | None = None,
    ) -> None:
        """`otherwise` holds where none is applied; `changed` is told by `run` of another, until it raises no error. `if_unusable` says what follows from one that is not usable."""
        self._files = files
        #: Lines of the log.
        self._hold, self._not_used, self._not_read, self._not_followed = (
            f"{files.kind}_{word}" for word in ("hold", "not_used", "not_read", "not_followed")
        )
        self._otherwise = otherwise
        self._if_unusable = if_unusable
        self._every_s = look_every_s
        self._changed = changed
        self._due = asyncio.Event()
        self._value = otherwise
        self._applied: AppliedFile | None = None
        #: What the last look found, and why it could not be read; None before the first one.
        self._seen: tuple[AppliedFile | None, str] | None = None
        #: How often another has come to hold.
        self._changes = 0
        #: Why what is applied now cannot be used.
        self._fault: NorthstarError | None = None

    @property
    def applied(self) -> AppliedFile | None:
        """The file that holds, as of the last look; None while none is applied."""
        return self._applied

    @property
    def version(self) -> int:
        """Version of the file that holds; 0 while none is applied."""
        return 0 if self._applied is None else self._applied.version

    @property
    def source(self) -> str:
        """From where it is, for people; empty while none is applied."""
        return "" if self._applied is None else f"{self._applied.source}, applied by {self._applied.by}"

    async def look(self) -> bool:
        """See what holds now; whether that has changed. Raises Unavailable when the cell does not answer."""
        found: AppliedFile | None = None
        fault: NorthstarError | None = None
        try:
            found = await self._files.current()
        except DocumentUnreadable as exc:
            fault = exc
        seen = (found, str(fault or ""))
        if seen == self._seen:
            return False
        value = self._otherwise
        if found is not None:
            try:
                value = await asyncio.to_thread(self._files.read, found)
            except InvalidFile as exc:
                fault = exc
        self._seen = seen
        if fault is not None:
            self._fault = fault
            self._name(fault, version=0 if found is None else found.version)
            return False
        changed = self._fault is not None or found != self._applied
        self._fault, self._applied, self._value = None, found, value
        if changed:
            self._changes += 1
            log.info(self._hold, cell=self._files.cell.name, version=self.version, source=self.source)
        return changed

    def _name(self, fault: NorthstarError, *, version: int) -> None:
        log.warning(
            self._not_used,
            cell=self._files.cell.name,
            version=version,
            code=fault.code,
            error=str(fault),
            now=self._if_unusable,
        )

    def hear(self, ring: Ring) -> None:
        """Have `run` look at once if something may have changed."""
        if isinstance(ring, (DocumentsChanged, Connected)):
            self._due.set()

    async def run(self) -> None:
        """Look whenever a bell rang, and every few seconds, until cancelled. A cell that does not answer is asked again.

        What was seen is not yet told: where `changed` fails, it is told again after the next look, whether or not that one finds anything new.
        """
        told = self._changes
        while True:
            try:
                await self.look()
            except NorthstarError as exc:
                log.warning(self._not_read, cell=self._files.cell.name, code=exc.code, error=str(exc))
            told = await self._tell(told)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._due.wait()
            self._due.clear()

    async def _tell(self, told: int) -> int:
        """Tell of what has come to hold since so many changes; gives of how many it is told now."""
        now = self._changes
        if now == told or self._changed is None:
            return now
        try:
            await self._changed(self._value)
        except NorthstarError as exc:
            log.warning(
                self._not_followed,
                cell=self._files.cell.name,
                version=self.version,
                code=exc.code,
                error=str(exc),
                again_in_s=self._every_s,
            )
            return told
        return now
