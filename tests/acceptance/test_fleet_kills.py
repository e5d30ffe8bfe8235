"""`kill -9` of one of two brokers, of Valkey below them, and of machines, while jobs come in and go out: every job is done once."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path

import pytest

from northstar.domain.errors import Unavailable
from northstar.store.embedded import EmbeddedValkey, ServerOptions
from tests.acceptance.site import Site, site
from tests.acceptance.test_kill_valkey import RESTART, kill_server
from tests.cable import Cable, cable
from tests.conftest import LONG, chosen_profile
from tests.northstar_command import RunningProcess

pytestmark = pytest.mark.timeout(1_200 if chosen_profile() == LONG else 180)

ROUNDS = 10 if chosen_profile() == LONG else 1
#: A machine that lost its broker and finds another keeps its jobs; brokers and machines find each other again within so long.
SETTLE_S = 1.0


class Fleet:
    """Two brokers behind one address, and two machines; whoever dies has a successor of another name."""

    def __init__(self, there: Site, line: Cable, rng: random.Random) -> None:
        self.there = there
        self._line = line
        self._rng = rng
        self._names = itertools.count()
        self._brokers: dict[int, RunningProcess] = {}
        self._machines: list[RunningProcess] = []

    async def add_broker(self) -> None:
        process, port = await self.there.serve(f"broker{next(self._names)}")
        self._brokers[port] = process
        self._line.targets = list(self._brokers)

    async def add_machine(self) -> None:
        self._machines.append(await self.there.machine(f"m{next(self._names)}", self._line.url))

    async def kill_broker(self) -> None:
        port = self._rng.choice(list(self._brokers))
        self._brokers.pop(port).popen.kill()
        self._line.targets = list(self._brokers)
        await self.add_broker()

    async def kill_machine(self) -> None:
        self._machines.pop(self._rng.randrange(len(self._machines))).popen.kill()
        await self.add_machine()


class Client:
    """Submits jobs one after the other, each again until it is accepted."""

    def __init__(self, there: Site, rng: random.Random) -> None:
        self._there = there
        self._rng = rng
        self._enough = asyncio.Event()
        self.jobs: list[str] = []

    async def submit(self) -> None:
        while not self._enough.is_set():
            batch = [f"j{len(self.jobs) + number}" for number in range(self._rng.randint(1, 3))]
            self.jobs += batch
            while True:
                try:
                    await self._there.submit(*batch)
                except Unavailable:
                    await asyncio.sleep(0.02)
                else:
                    break
            await asyncio.sleep(self._rng.expovariate(1 / 0.04))

    def stop(self) -> None:
        self._enough.set()


async def test_every_job_is_done_once_though_brokers_the_server_and_machines_are_killed(tmp_path: Path) -> None:
    rng = random.Random(77)
    async with (
        EmbeddedValkey(options=ServerOptions(fsync="always", restart=RESTART)) as server,
        site(server.url, tmp_path) as there,
        cable() as line,
    ):
        fleet, client = Fleet(there, line, rng), Client(there, rng)
        await asyncio.gather(fleet.add_broker(), fleet.add_broker())
        await asyncio.gather(fleet.add_machine(), fleet.add_machine())
        submitting = asyncio.create_task(client.submit())
        for _ in range(ROUNDS):
            for strike in (fleet.kill_broker, lambda: kill_server(server), fleet.kill_machine):
                await asyncio.sleep(rng.uniform(0.2, SETTLE_S))
                await strike()
        client.stop()
        await submitting
        for job in client.jobs:
            await there.becomes(job, "succeeded")
        history = await there.check_each_done_once(client.jobs)
        print(f"{len(client.jobs)} jobs, {3 * ROUNDS} kills, {history.recoveries} recoveries")
