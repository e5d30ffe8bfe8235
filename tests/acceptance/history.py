"""What a cell says about its past, and what must be true of any past."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import msgspec
from sqlalchemy import Select, select

from northstar.domain.events import Event, EventId
from northstar.store.cell import Cell
from northstar.store.events import read_events
from northstar.store.history import HistoryDatabase, tables
from northstar.store.messages import InspectedJob
from tests.servers import eventually

#: Reasons of job.returned for which a job that ran is charged a recovery.
LOSSES = {"lease_expired", "silent", "agent_restarted"}


class History:
    """Every event of the cell in order, and its jobs as they are now."""

    def __init__(self, events: list[Event], jobs: dict[str, InspectedJob]) -> None:
        self.events = events
        self.jobs = jobs

    def of_kind(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    def counted(self, kind: str) -> Counter[str]:
        """How often each subject met this kind of event."""
        return Counter(event.subject for event in self.of_kind(kind))

    def machines_of(self, job: str) -> list[str]:
        """Where it was started, in order; work that a bell brings is handed over first."""
        found = [e for e in self.events if e.subject == job and e.kind in {"job.offered", "job.started"}]
        # An accepted offer is told twice under one token.
        return list({event.data["token"]: event.data["machine"] for event in found}.values())

    @property
    def recoveries(self) -> int:
        return sum(job.record.recoveries for job in self.jobs.values())

    def check_numbers(self) -> None:
        """No event is missing, none is there twice: positions in the cell and numbers in each job are without a gap."""
        sequences = [event.id.sequence for event in self.events]
        assert sequences == list(range(1, len(sequences) + 1))
        epochs = [event.id.epoch for event in self.events]
        assert epochs == sorted(epochs)
        numbers: dict[str, list[int]] = defaultdict(list)
        for event in self.events:
            if event.kind.startswith("job."):
                numbers[event.subject].append(event.number)
        for job, seen in numbers.items():
            assert seen == list(range(1, len(seen) + 1)), job

    def check_each_done_once(self, count: int) -> None:
        """Exactly `count` jobs, each submitted once and succeeded once, each result stored, no failure charged."""
        assert len(self.jobs) == count
        for kind in ("job.submitted", "job.succeeded"):
            assert self.counted(kind) == dict.fromkeys(self.jobs, 1), kind
        assert {job.record.status for job in self.jobs.values()} == {"succeeded"}
        assert {job.record.attempts for job in self.jobs.values()} == {0}
        numbers = {number_of(job) for job in self.jobs.values()}
        assert numbers == set(range(1, count + 1))

    def check_starts(self, started: list[list[str]]) -> None:
        """Each start that a machine noted is one that the cell gave, and each beyond a job's first follows a return.

        `started` are the notes (job, token) of all machines. A machine may begin what its bell offers, and accept meanwhile.
        """
        starts_of = Counter((event.subject, event.data["token"]) for event in self.of_kind("job.started"))
        assert set(starts_of.values()) == {1}, "a lease began twice"
        offers = Counter((event.subject, event.data["token"]) for event in self.of_kind("job.offered"))
        assert set(offers.values()) <= {1}, "a token was given twice"
        given = starts_of | offers
        noted = Counter((job, token) for job, token in started)
        assert set(noted) <= set(given), "a machine ran what it was not given"
        assert set(noted.values()) <= {1}, "a machine ran the same lease twice"
        returned = self.counted("job.returned")
        for job, starts in Counter(job for job, _ in given).items():
            assert starts <= 1 + returned[job], f"{job} was started {starts} times and returned {returned[job]} times"

    def check_recoveries(self) -> None:
        """The counter of each job equals the losses that its events tell of; an offer that was lost costs nothing."""
        losses: Counter[str] = Counter()
        runs: set[str] = set()
        for event in self.events:
            if event.kind == "job.started":
                runs.add(event.subject)
            elif event.kind == "job.returned":
                losses[event.subject] += event.data["because"] in LOSSES and event.subject in runs
                runs.discard(event.subject)
        assert {job.id: job.record.recoveries for job in self.jobs.values()} == {job: losses[job] for job in self.jobs}


def number_of(job: InspectedJob) -> int:
    """A job's number in its body; the result must carry the same."""
    number: int = msgspec.json.decode(job.body)["payload"]["number"]
    assert msgspec.json.decode(job.result) == {"number": number}, job.id
    return number


async def read_history(cell: Cell) -> History:
    events: list[Event] = []
    while page := await read_events(cell.client, cell.keys, after=events[-1].id if events else EventId(0, 0)):
        events += page
    return await _with_jobs(cell, events)


async def _with_jobs(cell: Cell, events: list[Event]) -> History:
    ids = list(dict.fromkeys(event.subject for event in events if event.kind == "job.submitted"))
    jobs: dict[str, InspectedJob] = {}
    for first in range(0, len(ids), 500):
        for job in (await cell.inspect(ids[first : first + 500], bodies=True, results=True)).jobs:
            jobs[job.id] = job
    return History(events, jobs)


async def read_kept_history(cell: Cell, url: str) -> History:
    """The same from a database into which brokers write what the cell then forgets; waits until it is all there."""

    async def is_written() -> bool:
        counts = (await cell.statistics()).counts
        return counts["committed_event"] == counts["event"]

    await eventually(is_written, what="the history is written")
    database = HistoryDatabase(url)
    await database.open()
    try:
        rows = await database.read(lambda connection: list(connection.execute(_all_events(cell.name))))
    finally:
        await database.close()
    events = [
        Event(
            id=EventId(row.epoch, row.sequence),
            kind=row.kind,
            subject=row.subject,
            number=row.number,
            at_ms=row.at_ms,
            data=row.data,
        )
        for row in rows
    ]
    return await _with_jobs(cell, events)


def _all_events(cell: str) -> Select[Any]:
    return select(tables.events).where(tables.events.c.cell == cell).order_by("epoch", "sequence")
