"""A process that submits at random: one job or many, in lanes known, new and cold, some that fail and come again, some canceled."""

from __future__ import annotations

import asyncio
import random
import time

from northstar.broker.submission import Submitter
from northstar.domain.errors import Unavailable
from northstar.domain.jobs import JobRequest, RetryRule
from northstar.domain.models import ModelNeed
from northstar.domain.requirements import Requirements
from northstar.store.cell import Cell
from tests.acceptance.journal import Journal
from tests.acceptance.orders import HunterOrders, main, nonce, opened

#: Held by one machine of each process; the others need 0.2 s to 0.6 s for it.
WARM = ModelNeed(name="alpha", size_bytes=400_000_000)
RETRY = RetryRule(max_attempts=5, backoff_s=0.2, backoff_cap_s=0.4, max_recoveries=1_000)


class Hunter:
    def __init__(self, cell: Cell, orders: HunterOrders) -> None:
        self._cell = cell
        self._name = orders.name
        self._rng = random.Random(orders.seed)
        self._journal = Journal(orders.journal)
        self._submitter = Submitter(cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic)
        self._count = 0
        self._lanes = 0

    def _job(self, *needs: ModelNeed, failures: int = 0) -> JobRequest:
        self._count += 1
        payload = {"number": self._count, "work_ms": self._rng.randint(1, 60), "failures": failures}
        requires = Requirements(models=needs)
        return JobRequest(
            service="waits", id=f"{self._name}-{self._count}", payload=payload, requires=requires, retry=RETRY
        )

    async def _new_lane(self) -> list[JobRequest]:
        self._lanes += 1
        need = ModelNeed(name=f"{self._name}-{self._lanes}", size_bytes=1_000_000)
        await self._cell.declare([f"model:{need.name}"], by="test")
        return [self._job(need) for _ in range(self._rng.choice((1, 3)))]

    async def act(self) -> None:
        choice = self._rng.random()
        if choice < 0.4:
            await self._submit([self._job()])
        elif choice < 0.5:
            await self._submit([self._job() for _ in range(self._rng.randint(2, 60))])
        elif choice < 0.7:
            await self._submit([self._job(WARM) for _ in range(self._rng.randint(1, 6))])
        elif choice < 0.85:
            await self._submit(await self._new_lane())
        elif choice < 0.95:
            await self._submit([self._job(failures=self._rng.randint(1, 2))])
        else:
            job = f"{self._name}-{self._rng.randint(1, max(self._count, 1))}"
            await self._cell.cancel([job], because="by the hunter")

    async def _submit(self, requests: list[JobRequest]) -> None:
        accepted = await self._submitter.submit(requests)
        self._journal.note("hunted", *(job.id for job in accepted))


async def work(orders: HunterOrders) -> None:
    rng = random.Random(orders.seed + 1)
    async with opened(orders) as cell:
        hunter, end_s = Hunter(cell, orders), time.monotonic() + orders.for_s
        while time.monotonic() < end_s:
            try:
                await hunter.act()
            except Unavailable:
                await asyncio.sleep(0.02)
            await asyncio.sleep(rng.expovariate(1 / orders.pause_s))


if __name__ == "__main__":
    main(HunterOrders, work)
