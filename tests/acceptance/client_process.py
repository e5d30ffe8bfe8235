"""A process that submits numbered jobs. Killed and started again, it goes on behind the last batch that it knows to be accepted."""

from __future__ import annotations

import asyncio
import random
import time

from northstar.broker.submission import Submitter
from northstar.domain.errors import Unavailable
from northstar.domain.jobs import JobRequest, RetryRule
from northstar.store.messages import Submitted
from tests.acceptance.journal import Journal
from tests.acceptance.orders import ClientOrders, main, nonce, opened

#: Machines are killed all day here; that must not count as the jobs' own fault.
PATIENT = RetryRule(max_recoveries=1_000)


def request(number: int, work_ms: tuple[int, int]) -> JobRequest:
    """The same request for the same number, always. Even ones carry an id, odd ones only an idempotency key."""
    payload = {"number": number, "work_ms": random.Random(number).randint(*work_ms)}
    if number % 2:
        return JobRequest(service="waits", payload=payload, idempotency_key=f"key-{number}", retry=PATIENT)
    return JobRequest(service="waits", payload=payload, id=f"job-{number}", retry=PATIENT)


async def submit_until_answered(submitter: Submitter, requests: list[JobRequest]) -> list[Submitted]:
    while True:
        try:
            return await submitter.submit(requests)
        except Unavailable:
            await asyncio.sleep(0.02)


async def work(orders: ClientOrders) -> None:
    journal, rng = Journal(orders.journal), random.Random(orders.seed)
    async with opened(orders) as cell:
        submitter = Submitter(cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic)
        number = orders.first
        while number <= orders.last:
            batch = range(number, min(number + rng.randint(1, orders.batch), orders.last + 1))
            accepted = await submit_until_answered(submitter, [request(n, orders.work_ms) for n in batch])
            for n, submitted in zip(batch, accepted, strict=True):
                journal.note("accepted", n, submitted.id, int(submitted.replayed))
            number = batch.stop
            await asyncio.sleep(orders.pause_s)


if __name__ == "__main__":
    main(ClientOrders, work)
