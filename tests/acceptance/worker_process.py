"""A process with one or more machines on the direct link. Its work is to wait, and to say when it began."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from northstar.agent.direct_link import DirectLink
from northstar.agent.presence import FixedPresence
from northstar.agent.worker import Worker
from northstar.agent.worker_settings import WorkerSettings
from northstar.connectors.errors import EngineFailed
from northstar.domain.jobs import ClaimedJob
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelHeld
from northstar.domain.progress import Progress
from northstar.store.cell import Cell
from tests.acceptance.journal import Journal
from tests.acceptance.orders import WorkerOrders, main, nonce, opened


class Waits:
    """Waits as long as the job says; fails as often as it says."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def run(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        self._journal.note("started", job.id, job.token)
        payload = job.read_body().payload
        await asyncio.sleep(payload["work_ms"] / 1000)
        if job.attempt <= payload.get("failures", 0):
            raise EngineFailed("told to fail", service="waits")
        return f'{{"number": {payload["number"]}}}'


def keep_refusals(journal: Journal) -> None:
    """Lines of the worker's log that say that the fence held, as journal entries."""

    def keep(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if event["event"] == "result_refused":
            journal.note("refused", event["job"], event["code"])
        return event

    structlog.configure(processors=[keep, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])


def machine(cell: Cell, name: str, orders: WorkerOrders, runner: Waits) -> Worker:
    link = DirectLink(cell, machine=name, session=nonce(), new_nonce=nonce)
    return Worker(
        link,
        runner,
        profile=MachineProfile(pools=("standard",), services=("waits",)),
        presence=FixedPresence(
            MachineDescription(download_bytes_per_s=orders.download_bytes_per_s),
            [ModelHeld(model, "resident", 1_000) for model in orders.models if name == orders.machines[0]],
        ),
        settings=WorkerSettings(slots=orders.slots, renew_every_s=orders.renew_every_s, drain_s=orders.drain_s),
        jitter=random.Random(orders.seed).random,
    )


async def work(orders: WorkerOrders) -> None:
    journal = Journal(orders.journal)
    keep_refusals(journal)
    async with opened(orders) as cell:
        workers = [machine(cell, name, orders, Waits(journal)) for name in orders.machines]

        def stop() -> None:
            for worker in workers:
                worker.stop()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        await asyncio.gather(*(worker.run() for worker in workers))


if __name__ == "__main__":
    main(WorkerOrders, work)
