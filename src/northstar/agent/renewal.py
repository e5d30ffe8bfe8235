"""Keeping leases: again and again the machine says that it lives and what it works on, and hears what it has lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from northstar.domain.errors import Unavailable
from northstar.domain.refusals import NoSuchMachine
from northstar.store.messages import Held
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.agent.held_jobs import HeldJobs
    from northstar.agent.link import BrokerLink
    from northstar.agent.outbox import Outbox

log = logger(__name__)


class RenewalEvents:
    """Whom a renewal tells what it found out."""

    def __init__(
        self, *, lost: Callable[[], None], strangers: Callable[[list[Held]], None], orders: Callable[[], None]
    ) -> None:
        """`lost`: the cell does not know the machine; `strangers`: jobs that run here by the books; `orders`: some are open."""
        self.lost = lost
        self.strangers = strangers
        self.orders = orders


class Renewal:
    """The leases of one machine. Durations in seconds."""

    def __init__(
        self,
        link: BrokerLink,
        held: HeldJobs,
        outbox: Outbox,
        *,
        every_s: float,
        retry_s: float,
        batch: int,
        tell: RenewalEvents,
    ) -> None:
        self._link = link
        self._held = held
        self._outbox = outbox
        self._every_s = every_s
        self._retry_s = retry_s
        self._batch = batch
        self._tell = tell
        self._due = asyncio.Event()

    def soon(self) -> None:
        """Renew now instead of at the next turn."""
        self._due.set()

    async def run(self) -> None:
        """Until cancelled."""
        pause_s = self._every_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._due.wait()
            self._due.clear()
            pause_s = self._every_s
            try:
                await self._renew()
            except Unavailable:
                pause_s = min(self._retry_s, pause_s)
            except NoSuchMachine:
                self._tell.lost()

    async def _renew(self) -> None:
        named = [*self._held.named(), *self._outbox.named()]
        for first in range(0, max(len(named), 1), self._batch):
            batch = named[first : first + self._batch]
            tokens = {held.id: held.token for held in batch}
            reply = await self._link.renew(batch)
            self._tell.strangers([Held(job_id, token) for job_id, token in reply.unknown])
            if reply.orders:
                self._tell.orders()
            for job_id, code in reply.lost:
                # A run that ended while the renewal was under way is nobody's loss.
                if self._held.has(job_id, tokens[job_id]):
                    log.warning("lease_lost", job=job_id, code=code)
                    self._held.stop(job_id, tokens[job_id])
