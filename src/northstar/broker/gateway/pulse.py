"""Whether this broker can serve now: its server answers, and the cell on it is the one that was opened."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

from northstar.domain.errors import NorthstarError, Unavailable
from northstar.store.errors import ValkeyTimeout
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.store.cell import Cell

log = logger(__name__)

#: An answer holds for so long, so that whoever asks often asks the server no more than this, in seconds.
FRESH_S: Final = 1.0
#: How long the server may take, in seconds.
WITHIN_S: Final = 2.0


class NotReady(Unavailable):
    """This broker cannot serve at present. Anybody may ask, so only its log names addresses."""

    code: ClassVar[str] = "NS_NOT_READY"

    def __init__(self, because: str) -> None:
        super().__init__(
            f"this broker cannot serve at present ({because}); its log says more, ask another or come back"
        )
        self.because = because


class Pulse:
    """What is asked by load balancers and platforms before they send anybody here."""

    def __init__(self, cell: Cell, *, monotonic: Callable[[], float], within_s: float = WITHIN_S) -> None:
        """`monotonic` is a clock in seconds."""
        self._cell = cell
        self._monotonic = monotonic
        self._within_s = within_s
        self._asking = asyncio.Lock()
        self._known_until = float("-inf")
        self._known: NorthstarError | None = None

    async def check(self) -> None:
        """Return if it can serve. However many ask at once, the server is asked once.

        Raises:
            NotReady: it cannot at present.
        """
        async with self._asking:
            if self._monotonic() >= self._known_until:
                self._remember(await self._felt())
            known = self._known
        if known is not None:
            raise NotReady(known.code)

    async def _felt(self) -> NorthstarError | None:
        try:
            async with asyncio.timeout(self._within_s):
                await self._cell.statistics()
        except TimeoutError:
            return ValkeyTimeout(f"no answer within {self._within_s:g} s")
        except NorthstarError as exc:
            return exc
        return None

    def _remember(self, felt: NorthstarError | None) -> None:
        if felt is not None and (self._known is None or self._known.code != felt.code):
            log.warning("broker_not_ready", code=felt.code, error=str(felt))
        elif felt is None and self._known is not None:
            log.info("broker_ready_again")
        self._known, self._known_until = felt, self._monotonic() + FRESH_S
