"""Jobs that failed for good: which there are, and sending them back to work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker.job_lists import CursorInvalid
from northstar.broker.stored_lanes import StoredLanes, stored_pool
from northstar.domain.jobs import JobBody
from northstar.domain.refusals import QueueRefusal, refusal
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.latest import read_latest
from northstar.store.snapshots import read_snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

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
    ) -> None:
        self._cell = cell
        self._router = router
        self._new_nonce = new_nonce
        self._rule = rule or PatienceRule()

    async def find(self, wanted: Filter) -> AsyncIterator[DeadLetter]:
        """Those that the filter means, oldest first; read in pages, so their number does not matter."""
        after = ""
        while True:
            page = await self._cell.list_jobs("dead", after=after, count=CHUNK)
            for job in (await self._cell.inspect(page.jobs, bodies=True, decisions=True)).jobs:
                letter = _letter(job)
                if letter is not None and wanted.accepts(letter):
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
            for job in (await self._cell.inspect(new, bodies=True, decisions=True)).jobs if new else ():
                letter = _letter(job)
                if letter is not None and wanted.accepts(letter):
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
            for job in (await self._cell.inspect(ids, bodies=True, decisions=True)).jobs if ids else ():
                letter = _letter(job)
                here = (job.record.finished_ms, job.id)
                if letter is None or (place is not None and here >= place):
                    continue
                place, looked_at = here, looked_at + 1
                if wanted.accepts(letter):
                    found.append(letter)
                if len(found) == limit:
                    return DeadLetterPage(letters=tuple(found), cursor=_cursor(place))
            if len(ids) < CHUNK:
                return DeadLetterPage(letters=tuple(found), cursor="")
        return DeadLetterPage(letters=tuple(found), cursor="" if place is None else _cursor(place))

    async def replay(self, job_ids: Sequence[str]) -> dict[str, QueueRefusal | None]:
        """Send them back to work with their counters at zero, 500 a call; gives, for each, None or why not.

        Raises:
            CellFull, EventsBacklog, UnknownWord, TermsUnreadable: nothing of that chunk was replayed; chunks before it were.
        """
        outcomes: dict[str, QueueRefusal | None] = {}
        for first in range(0, len(job_ids), CHUNK):
            asked = job_ids[first : first + CHUNK]
            found = (await self._cell.inspect(asked, bodies=True, decisions=True)).jobs
            lanes = await self._lanes(found)
            known = [(job.id, lanes[job.id]) for job in found]
            replayed = await self._cell.replay(known, nonce=self._new_nonce()[-16:]) if known else []
            words = {outcome.id: outcome for outcome in replayed}
            outcomes |= {job_id: _refusal(job_id, words.get(job_id)) for job_id in asked}
        return outcomes

    async def _lanes(self, jobs: Sequence[InspectedJob]) -> dict[str, WantedLane]:
        """Each job's lane, of the pool in which it waited last: the lane itself may be gone by now."""
        lanes = StoredLanes(await read_snapshot(self._cell.client, self._cell.keys), self._rule, self._router)
        return {job.id: lanes.of(job.body, job.decision, tenant=job.record.tenant) for job in jobs}


def _cursor(place: tuple[int, str]) -> str:
    return f"{place[0]}.{place[1]}"


def _read_cursor(text: str) -> tuple[int, str]:
    """When the last job of the page before was given up, and its id. Raises CursorInvalid."""
    failed_ms, dot, job_id = text.partition(".")
    if not (dot and job_id and failed_ms.isascii() and failed_ms.isdecimal() and len(failed_ms) <= 18):
        raise CursorInvalid
    return int(failed_ms), job_id


def _body(job: InspectedJob) -> JobBody:
    return msgspec.json.decode(job.body, type=JobBody)


def _letter(job: InspectedJob) -> DeadLetter | None:
    if job.record.status != "failed":  # replayed since the page was read
        return None
    body = _body(job)
    return DeadLetter(
        id=job.id,
        service=body.service,
        pool=stored_pool(body, job.decision),
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
