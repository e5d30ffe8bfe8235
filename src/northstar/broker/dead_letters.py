"""Jobs that failed for good: which there are, and sending them back to work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from northstar.broker.job_lists import CursorInvalid
from northstar.broker.job_views import body_of
from northstar.broker.stored_lanes import StoredLanes, stored_pool
from northstar.domain.refusals import JobUnreadable, QueueRefusal, refusal
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.latest import read_latest
from northstar.store.snapshots import read_snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from northstar.broker.fleet_view import FleetView
    from northstar.broker.routing import Router
    from northstar.store.cell import Cell
    from northstar.store.messages import InspectedJob, Outcome, WantedLane

#: Jobs of one call; as the function library bounds its batches.
CHUNK = 500
#: Letters that are looked at for one page.
_MOST_READ = 2_000


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was given up, and why."""

    id: str
    service: str
    pool: str
    tenant: str
    code: str
    message: str
    attempts: int
    recoveries: int
    failed_ms: int
    #: Why its service and pool are not told: a later version wrote the job; empty: they are.
    unreadable: str = ""


class DeadLetterPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of them, the last to be given up first. A page may hold fewer than asked for and not be the last: go on while there is a cursor."""

    letters: tuple[DeadLetter, ...]
    cursor: str


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters are meant; an empty text means any."""

    code: str = ""
    pool: str = ""
    service: str = ""
    tenant: str = ""

    def accepts(self, letter: DeadLetter) -> bool:
        """Whether the letter is meant."""
        pairs = (
            (self.code, letter.code),
            (self.pool, letter.pool),
            (self.service, letter.service),
            (self.tenant, letter.tenant),
        )
        return all(wanted in {"", found} for wanted, found in pairs)


class DeadLetters:
    """The dead letters of one cell. `new_nonce` gives random text; by `router` they go back to work, as for `StoredLanes`."""

    def __init__(
        self,
        cell: Cell,
        *,
        new_nonce: Callable[[], str],
        rule: PatienceRule | None = None,
        router: Router | None = None,
        view: FleetView | None = None,
    ) -> None:
        """`view` is one that is looked at anyway, and by which the router decides; without it the machines are read anew for each replay."""
        self._cell = cell
        self._router = router
        self._view = view
        self._new_nonce = new_nonce
        self._rule = rule or PatienceRule()

    async def find(self, wanted: Filter) -> AsyncIterator[DeadLetter]:
        """Those that the filter means, oldest first; read in pages, so their number does not matter."""
        after = ""
        while True:
            page = await self._cell.list_jobs("dead", after=after, count=CHUNK)
            for letter in await self._letters(page.jobs, wanted):
                yield letter
            after = page.after
            if not after:
                return

    async def latest(self, wanted: Filter) -> AsyncIterator[DeadLetter]:
        """Those that the filter means, the last to be given up first; each once."""
        seen: set[str] = set()
        read = 0
        while ids := await read_latest(self._cell.client, self._cell.keys, "dead", skip=read, count=CHUNK):
            read += len(ids)
            new = [job_id for job_id in ids if job_id not in seen]
            seen.update(new)
            for letter in await self._letters(new, wanted):
                yield letter

    async def page(self, wanted: Filter, *, limit: int, cursor: str) -> DeadLetterPage:
        """A page of those that the filter means, the last to be given up first. What is replayed or given up meanwhile moves no page.

        Raises:
            CursorInvalid: it is none of this list. Unavailable: the server does not answer.
        """
        place = _read_cursor(cursor) if cursor else None
        until_ms = None if place is None else place[0]
        found: list[DeadLetter] = []
        skip = looked_at = 0
        while looked_at < _MOST_READ:
            ids = await read_latest(
                self._cell.client, self._cell.keys, "dead", skip=skip, count=CHUNK, until_ms=until_ms
            )
            skip += len(ids)
            is_whole = not wanted.tenant
            jobs = (await self._cell.inspect(ids, bodies=is_whole, decisions=is_whole)).jobs if ids else []
            theirs = [] if is_whole else [job.id for job in jobs if job.record.tenant == wanted.tenant]
            letters = {
                one.id: one for one in (_those(jobs, wanted) if is_whole else await self._letters(theirs, wanted))
            }
            for job in jobs:
                here = (job.record.finished_ms, job.id)
                if job.record.status != "failed" or (place is not None and here >= place):
                    continue
                place, looked_at = here, looked_at + 1
                if job.id in letters:
                    found.append(letters[job.id])
                if len(found) == limit:
                    return DeadLetterPage(letters=tuple(found), cursor=_cursor(place))
            if len(ids) < CHUNK:
                return DeadLetterPage(letters=tuple(found), cursor="")
        return DeadLetterPage(letters=tuple(found), cursor="" if place is None else _cursor(place))

    async def _letters(self, job_ids: Sequence[str], wanted: Filter) -> list[DeadLetter]:
        """Those of the jobs that the filter means."""
        if not job_ids:
            return []
        return _those((await self._cell.inspect(job_ids, bodies=True, decisions=True)).jobs, wanted)

    async def replay(self, job_ids: Sequence[str]) -> dict[str, QueueRefusal | None]:
        """Send them back to work with their counters at zero, 500 a call; gives, for each, None or why not.

        One that this version cannot read stays where it is (JobUnreadable): only its own version can say where it may run.

        Raises:
            CellFull, EventsBacklog, UnknownWord, TermsUnreadable: nothing of that chunk was replayed; chunks before it were.
        """
        outcomes: dict[str, QueueRefusal | None] = {}
        for first in range(0, len(job_ids), CHUNK):
            asked = job_ids[first : first + CHUNK]
            found = (await self._cell.inspect(asked, bodies=True, decisions=True)).jobs
            unreadable = {job.id: why for job in found if (why := _why_unreadable(job)) is not None}
            lanes = await self._lanes([job for job in found if job.id not in unreadable])
            replayed = await self._cell.replay(list(lanes.items()), nonce=self._new_nonce()[-16:]) if lanes else []
            words = {outcome.id: outcome for outcome in replayed}
            outcomes |= {job_id: unreadable.get(job_id) or _refusal(job_id, words.get(job_id)) for job_id in asked}
        return outcomes

    async def _lanes(self, jobs: Sequence[InspectedJob]) -> dict[str, WantedLane]:
        """Each job's lane, of the pool in which it waited last: the lane itself may be gone by now."""
        if not jobs:
            return {}
        if self._view is None:
            snapshot = await read_snapshot(self._cell.client, self._cell.keys)
            lanes = await asyncio.to_thread(StoredLanes, snapshot, self._rule, self._router)
        else:
            seen = await self._view.now()
            lanes = StoredLanes(seen.snapshot, self._rule, self._router, index=seen.index)
        return {job.id: lanes.of(job.body, job.decision, tenant=job.record.tenant) for job in jobs}


def _cursor(place: tuple[int, str]) -> str:
    return f"{place[0]}.{place[1]}"


def _read_cursor(text: str) -> tuple[int, str]:
    """When the last job of the page before was given up, and its id. Raises CursorInvalid."""
    failed_ms, dot, job_id = text.partition(".")
    if not (dot and job_id and failed_ms.isascii() and failed_ms.isdecimal() and len(failed_ms) <= 18):
        raise CursorInvalid
    return int(failed_ms), job_id


def _those(jobs: Sequence[InspectedJob], wanted: Filter) -> list[DeadLetter]:
    """The letters that are meant; what others sent is not even read."""
    letters = [_letter(job) for job in jobs if wanted.tenant in {"", job.record.tenant}]
    return [letter for letter in letters if letter is not None and wanted.accepts(letter)]


def _why_unreadable(job: InspectedJob) -> JobUnreadable | None:
    try:
        body_of(job)
    except JobUnreadable as exc:
        return exc
    return None


def _letter(job: InspectedJob) -> DeadLetter | None:
    if job.record.status != "failed":  # replayed since the page was read
        return None
    try:
        body = body_of(job)
    except JobUnreadable as exc:
        service, pool, unreadable = "", "", str(exc)
    else:
        service, pool, unreadable = body.service, stored_pool(body, job.decision), ""
    return DeadLetter(
        id=job.id,
        service=service,
        pool=pool,
        unreadable=unreadable,
        tenant=job.record.tenant,
        code=job.record.error_code,
        message=job.record.error_message,
        attempts=job.record.attempts,
        recoveries=job.record.recoveries,
        failed_ms=job.record.finished_ms,
    )


def _refusal(job_id: str, outcome: Outcome | None) -> QueueRefusal | None:
    if outcome is None:
        return refusal("NS_NO_SUCH_JOB", {"job": job_id})
    return None if outcome.word == "ok" else refusal(outcome.word, {"job": job_id})
