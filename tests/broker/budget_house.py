"""A cell on the virtual clock with a history and a broker that keeps to budgets; a machine costs a dollar a second, so seconds are dollars."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest_asyncio

from northstar.broker.budget_holds import BudgetHolds
from northstar.broker.budget_notes import BudgetNotes
from northstar.broker.budget_stops import BudgetStops
from northstar.broker.budgets import BudgetKeeper, BudgetsSeen
from northstar.broker.explained_jobs import JobExplainer
from northstar.broker.fleet_budget import FleetBudget, put_fleet_budget, standing_budget
from northstar.broker.job_past import JobPast
from northstar.broker.queue_places import QueuePlaces
from northstar.broker.rerouting import Rerouter
from northstar.broker.routing import Router
from northstar.broker.spending import Spending
from northstar.broker.submission import Accepted, Submitter
from northstar.config.pools import packaged_pools
from northstar.domain.events import Event
from northstar.domain.explanations import JobExplanation
from northstar.domain.jobs import ClaimedJob, JobRequest, RetryRule
from northstar.domain.limits import CellLimits
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.tenancy import Tenants, TenantTerms
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.cell import Cell
from northstar.store.events import read_events
from northstar.store.history import BEGINNING, CostReader, HistoryDatabase, HistoryWriter
from northstar.store.machine_facts import facts_text
from northstar.store.messages import Done, Failure
from northstar.store.pauses import Pause, read_pauses
from northstar.store.snapshots import CellReader
from northstar.store.valkey import ValkeyClient
from tests.agent.rig import nonce
from tests.broker.test_routing import Guess
from tests.servers import RunningServer

#: 22:13:20 on the 14th of November 2023: an hour and 47 minutes before midnight.
EVENING_MS = 1_700_000_000_000
HOUR_S = 3_600
DOLLAR_A_SECOND = 3_600.0
PROFILE = MachineProfile(pools=("fast-lane",), services=("paint",))
#: Long enough that nobody's lease ends because a test lets hours pass.
LIMITS = CellLimits(lease_ms=86_400_000, alive_ms=86_400_000)


class Broker:
    """One of the cell's, with its own memory of what was spent."""

    def __init__(self, house: House, **holds: Any) -> None:
        cell = house.cell
        self.stops = BudgetNotes(cell)
        self.router = Router(
            pools=packaged_pools,
            tenants=lambda: house.tenants,
            estimates=Guess(10.0),
            catalogue=CatalogueIndex,
            stops=BudgetStops(lambda: self.stops.all),
        )
        self.submitter = Submitter(
            cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic, view_s=0, router=self.router
        )
        self.spending = Spending(cell, CostReader(house.database, cell=cell.name), sleep=house.nobody_waits)
        reader = CellReader(cell.client, cell.keys)
        self.holds = BudgetHolds(cell, self.router, reader=reader, new_nonce=nonce, **holds)
        self.keeper = BudgetKeeper(
            cell,
            self.spending,
            terms=lambda: house.tenants,
            holds=self.holds,
            stops=self.stops,
        )
        self.rerouter = Rerouter(cell, self.router, new_nonce=nonce)


_EMPTY: list[bytes] = []


async def empty_history(file: Path) -> None:
    """A history with its tables and nothing in them; made once, since that takes longer than most tests."""
    if not _EMPTY:
        made = HistoryDatabase(f"sqlite:///{file}")
        await made.open()
        await made.close()
        _EMPTY.append(file.read_bytes())
    file.write_bytes(_EMPTY[0])


class House:
    def __init__(self, client: ValkeyClient, folder: Path) -> None:
        self.cell = Cell(client, f"b{nonce()}")
        self._history = folder / "history.db"
        self.database = HistoryDatabase(f"sqlite:///{self._history}")
        self.tenants = Tenants(tenants={})

    async def __aenter__(self) -> Self:
        await self.cell.open(LIMITS, clock="virtual")
        self.cell.now_ms = EVENING_MS
        await self.cell.declare(
            ["service:paint", "tag:edge", *(f"pool:{name}" for name in packaged_pools().pools)], by="test"
        )
        await empty_history(self._history)
        await self.database.open()
        self.writer = HistoryWriter(
            self.cell, self.database, jitter=random.Random(1).random, wait_ms=50, gather_s=0.0, retry_cap_s=0.2
        )
        self.broker = Broker(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.database.close()

    async def nobody_waits(self, _: float) -> None:
        """The history has what it has: tests write it when they say so."""

    def later(self, seconds: float) -> None:
        assert self.cell.now_ms is not None
        self.cell.now_ms += round(seconds * 1000)

    async def agree(self, **budgets: float) -> None:
        """Budgets of tenants, in dollars a day."""
        self.tenants = Tenants(tenants={name: TenantTerms(budget_usd_per_day=usd) for name, usd in budgets.items()})

    async def fleet(self, usd_per_day: float) -> None:
        """An operator sets the fleet's budget."""
        wanted = FleetBudget(usd_per_day=usd_per_day)
        await put_fleet_budget(self.cell, wanted, known=await standing_budget(self.cell), by="ann@host")

    def started(self, usd_per_day: float = 0.0) -> Broker:
        """A broker that starts with such settings."""
        broker = Broker(self)
        broker.keeper.fleet = FleetBudget(usd_per_day=usd_per_day)
        return broker

    async def machine(self, name: str = "m", *, slots: int = 1, usd_per_hour: float = DOLLAR_A_SECOND) -> None:
        said = MachineDescription(price_usd_per_hour=usd_per_hour)
        await self.cell.register_machine(
            machine=name,
            session="s",
            profile=PROFILE.canonical(),
            fits=[],
            slots=slots,
            vram_mb=0,
            holder="holder",
            description=msgspec.json.encode(said).decode(),
            words=[],
            nonce=nonce(),
            facts=facts_text(said, vram_mb=0, pools=PROFILE.pools),
        )

    async def submit(self, *jobs: str, tenant: str, broker: Broker | None = None, **fields: Any) -> list[Accepted]:
        requests = [
            JobRequest(
                service="paint", id=job, tenant=tenant, payload={}, **{"retry": RetryRule(max_attempts=3)} | fields
            )
            for job in jobs
        ]
        return await (broker or self.broker).submitter.submit_and_tell(requests)

    async def claim(self, credits_: int = 1, *, machine: str = "m") -> list[ClaimedJob]:
        reply = await self.cell.claim(machine=machine, session="s", credits_=credits_, nonce=nonce(), park=False)
        return reply.jobs

    async def claimed(self, credits_: int = 1, *, machine: str = "m") -> list[str]:
        return [job.id for job in await self.claim(credits_, machine=machine)]

    async def complete(self, jobs: Sequence[ClaimedJob], *, machine: str = "m") -> None:
        done = [Done(job.id, job.token, "{}", "") for job in jobs]
        assert {one.word for one in await self.cell.complete(machine=machine, session="s", done=done)} == {"ok"}

    async def fail(self, job: ClaimedJob, *, machine: str = "m") -> None:
        failure = Failure(job.id, job.token, "BOOM", "it broke", retryable=True, jitter=0.0)
        await self.cell.fail(machine=machine, session="s", failures=[failure])

    async def look(self, broker: Broker | None = None) -> BudgetsSeen:
        """The history catches up, and a broker looks at what was spent."""
        await self.writer.step()
        return await (broker or self.broker).keeper.step()

    async def explained(self, job: str) -> JobExplanation:
        places = QueuePlaces(self.cell, monotonic=time.monotonic, view_s=0)
        return await JobExplainer(self.cell, past=JobPast(self.cell, None), places=places, rule=PatienceRule()).explain(
            job
        )

    async def pauses(self) -> list[Pause]:
        return await read_pauses(self.cell.client, self.cell.keys)

    async def events(self) -> list[Event]:
        """Those that the history has not taken yet."""
        return await read_events(self.cell.client, self.cell.keys, after=BEGINNING, count=1_000)


@pytest_asyncio.fixture
async def house(broker_server: RunningServer, tmp_path: Path) -> AsyncIterator[House]:
    async with broker_server.client() as client, House(client, tmp_path) as opened:
        yield opened
