"""From a cell's event stream into the history, each event once; then the cell may forget it.

Rows and offset are committed in one SQL transaction, and only then is the cell told. Whoever dies in between is followed by one
who reads the offset and goes on from there. Several writers may run on one cell: the offset lets one of them advance.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from northstar.domain.errors import Unavailable
from northstar.domain.events import Event, EventId
from northstar.domain.refusals import BadArgument
from northstar.store.events import read_events
from northstar.store.history.attempt_rows import ready_before
from northstar.store.history.attempts import Attempt, EndedRun, attempt_of, ended_runs
from northstar.store.history.bond import note_trouble
from northstar.store.history.continuity import BEGINNING, Gap, after, find_gaps
from northstar.store.history.errors import HistoryMismatch
from northstar.store.history.finished_jobs import finished_job, turns_of
from northstar.store.history.machine_memory import MachineMemory, Sighting
from northstar.store.history.machine_rows import known_machines
from northstar.store.history.rows import Batch, has_event, read_offset, write_batch
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.store.cell import Cell
    from northstar.store.history.database import HistoryDatabase
    from northstar.store.messages import InspectedJob

log = logger(__name__)

#: Events of one transaction.
MAX_BATCH = 1_000
#: Jobs of one look into the cell: at 64 KiB a body and as much a result, and 4 KiB a decision, at most 6.6 MB.
_JOBS_PER_INSPECT = 50


class HistoryWriter:
    """Writes one cell's events into one history. `jitter` gives random numbers in [0, 1).

    `history` is the id of the database where the cell is bound to it (`bind`): only with it may events be trimmed then, and why
    nothing is written is noted in the cell. `heard` is told of each batch that this writer has written, and no other one.
    """

    def __init__(
        self,
        cell: Cell,
        database: HistoryDatabase,
        *,
        jitter: Callable[[], float],
        history: str = "",
        heard: Callable[[Sequence[Event]], None] = lambda _events: None,
        batch: int = MAX_BATCH,
        wait_ms: int = 2_000,
        gather_s: float = 0.05,
        retry_s: float = 0.1,
        retry_cap_s: float = 10.0,
    ) -> None:
        self._cell = cell
        self._database = database
        self._jitter = jitter
        self._history = history
        self._heard = heard
        self._batch = min(batch, MAX_BATCH)
        self._wait_ms = wait_ms
        self._gather_s = gather_s
        self._retry_s = retry_s
        self._retry_cap_s = retry_cap_s
        self._offset: EventId | None = None
        self._machines = MachineMemory(cell)
        #: Events that waited in the cell when it was last told.
        self.backlog = 0
        #: Why nothing is written at present; None when all is well.
        self.fault: Unavailable | None = None

    async def run(self) -> None:
        """Until cancelled. A database or cell that does not answer is waited for, with a line in the log.

        Raises:
            HistoryElsewhere: the cell was given to another history.
        """
        failures = 0
        while True:
            try:
                written = await self.step(wait_ms=self._wait_ms)
            except Unavailable as exc:
                self._offset, self.fault, failures = None, exc, failures + 1
                log.warning("history_waits", cell=self._cell.name, code=exc.code, error=str(exc), failures=failures)
                await self._note(exc)
                await asyncio.sleep(self._pause_s(failures))
                continue
            if self.fault is not None:
                log.info("history_goes_on", cell=self._cell.name, failures=failures)
                await self._note(None)
            self.fault, failures = None, 0
            if written < self._batch:
                # Few events: let some more gather, so that each costs less than a transaction.
                await asyncio.sleep(self._gather_s)

    async def begin(self) -> None:
        """See that cell and history continue each other, before anything is written. Raises as `step`."""
        self._offset = await self._resume()

    async def _note(self, error: Unavailable | None) -> None:
        if self._history:
            await note_trouble(self._cell, self._history, error)

    def _pause_s(self, failures: int) -> float:
        doubled_s: float = self._retry_s * 2 ** min(failures - 1, 16)
        return min(self._retry_cap_s, doubled_s) * (0.5 + self._jitter() / 2)

    async def step(self, *, wait_ms: int = 0) -> int:
        """Write the next batch; gives how many events. Waits up to `wait_ms` for the first.

        0 is also the answer to a lost race with another writer: the next step goes on from where that one stands.

        Raises:
            HistoryMismatch: Cell and history do not continue each other.
            Unavailable: The cell or the database does not answer; the step may be repeated.
        """
        if self._offset is None:
            self._offset = await self._resume()
        read = await read_events(
            self._cell.client, self._cell.keys, after=self._offset, count=self._batch, wait_ms=wait_ms
        )
        events = after(self._offset, read)
        if not events:
            return 0
        batch = await self._batch_of(self._offset, events)
        self._offset = None  # unknown until the commit is known to have happened
        if not await self._database.write(partial(write_batch, batch=batch)):
            # With several brokers over one cell this is everyday: one writes, the others find it written.
            log.debug("history_lost_race", cell=self._cell.name, offset=str(batch.offset))
            return 0
        for gap in batch.gaps:
            self._report(gap)
        self._heard(events)
        latest = events[-1].id
        await self._tell(latest)
        self._offset = latest
        return len(events)

    # Where it stands --------------------------------------------------------------------------------------------------

    async def _resume(self) -> EventId:
        offset = await self._database.read_to_write(partial(read_offset, cell=self._cell.name))
        if offset != BEGINNING:
            await self._check(offset)
            # Whoever wrote this may have died before the cell was told.
            await self._tell(offset)
        return offset

    async def _check(self, offset: EventId) -> None:
        """A cell that was made anew under the same name counts from 1 again; its events would be taken for old ones."""
        counts = (await self._cell.statistics()).counts
        latest = EventId(counts["epoch"], counts["event"])
        if latest.epoch < offset.epoch or (latest.epoch == offset.epoch and latest < offset):
            raise self._mismatch(offset, f"the cell itself is only at {latest}")
        # Whatever both have must be the same: the first event that the cell still has, and the one at the offset.
        for before in (BEGINNING, EventId(offset.epoch, offset.sequence - 1)):
            head = await read_events(self._cell.client, self._cell.keys, after=before, count=1)
            if head and head[0].id <= offset:
                same = await self._database.read_to_write(partial(has_event, cell=self._cell.name, event=head[0]))
                if same is False:
                    raise self._mismatch(offset, f"the cell has another event {head[0].id} ({head[0].kind})")

    def _mismatch(self, offset: EventId, reason: str) -> HistoryMismatch:
        return HistoryMismatch(place=self._database.place, cell=self._cell.name, offset=offset, reason=reason)

    async def _tell(self, offset: EventId) -> None:
        try:
            self.backlog = await self._cell.events_committed(
                epoch=offset.epoch, event=offset.sequence, history=self._history
            )
        except BadArgument as exc:
            raise self._mismatch(offset, "the cell knows no such event") from exc

    def _report(self, gap: Gap) -> None:
        """A change of server at which nothing was lost is no gap, and no reason to worry."""
        is_lost = gap.missing or gap.disowned
        line = log.warning if is_lost else log.info
        line(
            "history_gap" if is_lost else "history_new_epoch",
            cell=self._cell.name,
            last=str(gap.last),
            next=str(gap.next),
            reason=gap.reason,
            missing=gap.missing,
            disowned=gap.disowned,
        )

    # What it writes ---------------------------------------------------------------------------------------------------

    async def _batch_of(self, offset: EventId, events: Sequence[Event]) -> Batch:
        turns, runs = turns_of(events), ended_runs(events)
        unfinished = sorted({run.job_id for run in runs} - turns.ended.keys())
        found = await self._look(list(turns.ended), results=True) | await self._look(unfinished, results=False)
        sightings = await self._machines.look(events)
        return Batch(
            cell=self._cell.name,
            offset=offset,
            events=events,
            gaps=find_gaps(offset, events),
            finished=[finished_job(event, found.get(job_id)) for job_id, event in turns.ended.items()],
            revived=sorted(turns.revived),
            attempts=await self._attempts(runs, found, sightings),
            sightings=list(sightings.values()),
        )

    async def _attempts(
        self, runs: Sequence[EndedRun], found: dict[str, InspectedJob], sightings: dict[str, Sighting]
    ) -> list[Attempt]:
        """The rows of runs that ended; what neither the batch nor the cell says any more is looked up among older rows."""
        facts = {name: sighting.facts for name, sighting in sightings.items() if sighting.facts is not None}
        gone = sorted({run.machine for run in runs if run.machine} - facts.keys())
        waited = sorted({run.job_id for run in runs if run.ready_ms is None})
        if gone:
            facts |= await self._database.read_to_write(partial(known_machines, cell=self._cell.name, names=gone))
        ready: dict[str, int] = {}
        if waited:
            ready = await self._database.read_to_write(partial(ready_before, cell=self._cell.name, job_ids=waited))
        return [
            attempt_of(
                run if run.ready_ms is not None else EndedRun(run.event, ready.get(run.job_id)),
                found=found.get(run.job_id),
                machine=facts.get(run.machine),
            )
            for run in runs
        ]

    async def _look(self, job_ids: Sequence[str], *, results: bool) -> dict[str, InspectedJob]:
        """The jobs as they are. The cell keeps each until its last event is committed, so none of them is gone yet."""
        found: dict[str, InspectedJob] = {}
        for first in range(0, len(job_ids), _JOBS_PER_INSPECT):
            some = job_ids[first : first + _JOBS_PER_INSPECT]
            seen = (await self._cell.inspect(some, results=results, bodies=True, decisions=True)).jobs
            found |= {job.id: job for job in seen}
        return found
