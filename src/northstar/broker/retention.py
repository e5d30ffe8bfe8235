"""Retiring outputs: what policy says goes, hour by hour, the oldest first, a bounded piece at a time.

Any number of processes may do this over one store. One at a time does the work, by a note beside the outputs that says so; if two do it all
the same, they come to the same verdicts in the same order, and what one finds gone counts as done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.errors import NorthstarError
from northstar.policy.outputs.retention import JobOutputs, RetentionRule, judge
from northstar.store.asset_errors import AssetStoreFull
from northstar.store.asset_names import HOUR_MS, begin_ms, hour_of
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.store.asset_holdings import HeldOutputs, Holdings
    from northstar.store.asset_notes import Note
    from northstar.store.cell import Cell

log = logger(__name__)

#: Jobs per call; as the function library bounds its batches.
_PER_CALL: Final = 500
#: Hours that one turn looks at, and files that it removes.
MAX_HOURS: Final = 500
MAX_FILES: Final = 5_000
#: The pause after a turn that had to stop, in seconds.
_SOON_S: Final = 1.0
#: A note of somebody else counts for so many turns.
_TURNS: Final = 3
#: An hour of which nothing may go is looked at again after so long; where room is needed, sooner.
_AGAIN_MS: Final = 600_000
_NO_ROOM_AGAIN_MS: Final = 60_000
#: To these hours, and to the one before, files are still being added.
_OPEN_MS: Final = 2 * HOUR_MS
#: What an upload wrote last so long ago belongs to no upload that still runs; the latest days are looked through for it.
DRAFT_MS: Final = 6 * HOUR_MS
_DRAFT_HOURS_MS: Final = 72 * HOUR_MS


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn did. `more`: it had to stop before the end; `elsewhere`: somebody else does it."""

    jobs: int = 0
    size_bytes: int = 0
    drafts: int = 0
    more: bool = False
    elsewhere: bool = False
    is_full: bool = False


class OutputRetention:
    """Looks after the outputs of one cell."""

    def __init__(
        self,
        cell: Cell,
        holdings: Holdings,
        *,
        rule: RetentionRule,
        name: str,
        every_s: float,
        wall_ms: Callable[[], int] | None = None,
    ) -> None:
        """`name` is this process, and nobody else. `wall_ms` is its own clock, ms since epoch.

        What goes is gone for good, so it must be old by both clocks, the cell's and the own; None: the cell's alone counts.
        """
        self._wall_ms = wall_ms
        self._cell = cell
        self._holdings = holdings
        self._rule = rule
        self._name = name
        self._every_s = every_s
        self._sizes: dict[str, int] = {}
        self._again_ms: dict[str, int] = {}
        self._drafts_ms = 0

    async def run(self) -> None:
        """A turn every `every_s` seconds, for ever; one that fails is told and tried again."""
        while True:
            more = False
            try:
                more = (await self.turn()).more
            except NorthstarError as exc:
                log.warning("outputs_not_retired", store=self._holdings.url, code=exc.code, error=str(exc))
            await asyncio.sleep(_SOON_S if more else self._every_s)

    async def turn(self) -> Turn:
        """Do what is due, within bounds. Raises an asset store's error, or Unavailable."""
        now_ms = (await self._cell.inspect(())).now_ms
        lease_ms = int(_TURNS * self._every_s * 1000)
        note = await self._holdings.note()
        # A note of the far future was written by a clock that was wrong, and holds nobody up.
        if note.by not in {"", self._name} and now_ms < note.until_ms <= now_ms + 2 * lease_ms:
            return Turn(elsewhere=True, is_full=note.is_full)
        note = msgspec.structs.replace(note, by=self._name, until_ms=now_ms + lease_ms)
        await self._write(note)
        hours = await self._holdings.hours()
        judged_ms = now_ms if self._wall_ms is None else min(now_ms, self._wall_ms())
        drafts = await self._drop_drafts(hours, judged_ms)
        is_surveyed = await self._survey(hours, judged_ms)
        retired = await self._retire(hours, note, now_ms=judged_ms, is_surveyed=is_surveyed)
        is_full = self._excess_bytes() > 0 if is_surveyed else note.is_full
        if is_full != note.is_full:
            await self._write(msgspec.structs.replace(await self._holdings.note(), is_full=is_full))
            if is_full:
                log.warning(
                    "outputs_full", store=self._holdings.url, hint="raise assets.limit_gib, or lower assets.at_least_s"
                )
            else:
                log.info("outputs_fit_again", store=self._holdings.url)
        return msgspec.structs.replace(retired, more=retired.more or not is_surveyed, drafts=drafts, is_full=is_full)

    async def _write(self, note: Note) -> bool:
        """Write the note; False if there is no room even for that. Then what is old must go all the same."""
        try:
            await self._holdings.write_note(note)
        except AssetStoreFull:
            return False
        return True

    async def _survey(self, hours: Sequence[str], now_ms: int) -> bool:
        """Learn how much there is of every hour; False if a later turn must go on with it."""
        self._sizes = {hour: self._sizes[hour] for hour in hours if hour in self._sizes}
        self._again_ms = {hour: self._again_ms[hour] for hour in hours if hour in self._again_ms}
        grows_from = hour_of(now_ms - _OPEN_MS)
        unknown = [hour for hour in hours if hour not in self._sizes or hour >= grows_from]
        for hour in unknown[:MAX_HOURS]:
            await self._look_at(hour)
        return len(unknown) <= MAX_HOURS

    async def _look_at(self, hour: str) -> list[HeldOutputs]:
        held = await self._holdings.of_hour(hour)
        self._sizes[hour] = sum(one.size_bytes for one in held)
        return held

    def _excess_bytes(self) -> int:
        return self._rule.excess_bytes(sum(self._sizes.values()))

    async def _retire(self, hours: Sequence[str], note: Note, *, now_ms: int, is_surveyed: bool) -> Turn:
        jobs, size_bytes, files, looks = 0, 0, 0, 0
        for hour in hours:
            excess_bytes = self._excess_bytes() if is_surveyed else 0
            if not excess_bytes and not self._is_old(hour, now_ms):
                break
            if now_ms < self._again_ms.get(hour, 0):
                continue
            if files >= MAX_FILES or looks >= MAX_HOURS:
                return Turn(jobs=jobs, size_bytes=size_bytes, more=True)
            looks += 1
            going = await self._going(hour, now_ms=now_ms, is_surveyed=is_surveyed)
            if not going:
                continue
            # First the note, so that nobody finds a file gone and does not learn why.
            note = msgspec.structs.replace(note, retired_until=max(hour, note.retired_until))
            is_written = await self._write(note)
            some = _first(going, files=MAX_FILES - files)
            await self._holdings.remove(some)
            if not is_written:
                await self._write(note)
            freed_bytes = sum(one.size_bytes for one in some)
            self._sizes[hour] -= freed_bytes
            jobs, size_bytes = jobs + len(some), size_bytes + freed_bytes
            files += sum(len(one.keys) for one in some)
            log.info("outputs_retired", hour=hour, jobs=len(some), bytes=freed_bytes)
            if len(some) < len(going):
                return Turn(jobs=jobs, size_bytes=size_bytes, more=True)
        return Turn(jobs=jobs, size_bytes=size_bytes)

    def _is_old(self, hour: str, now_ms: int) -> bool:
        return (begin_ms(hour) or now_ms) + HOUR_MS + self._rule.keep_ms <= now_ms

    async def _going(self, hour: str, *, now_ms: int, is_surveyed: bool) -> list[HeldOutputs]:
        """Outputs of an hour that go, the oldest first; looked at anew, since others may have retired some."""
        held = {one.job: one for one in await self._look_at(hour)}
        if self._is_old(hour, now_ms):
            await self._holdings.drop_drafts(hour, before_ms=now_ms - DRAFT_MS)
        finished = await self._finished(list(held))
        outputs = [
            JobOutputs(job=job, size_bytes=one.size_bytes, written_ms=one.written_ms, finished_ms=finished.get(job, 0))
            for job, one in held.items()
        ]
        excess_bytes = self._excess_bytes() if is_surveyed else 0
        verdicts = judge(outputs, now_ms=now_ms, excess_bytes=excess_bytes, rule=self._rule)
        if not any(verdict.goes or verdict.why == "kept" for verdict in verdicts):
            ages = [one.age_ms(now_ms) for one in outputs if one.finished_ms is not None]
            soonest_ms = self._rule.least_ms - max(ages) if ages else _AGAIN_MS
            self._again_ms[hour] = now_ms + min(soonest_ms, _NO_ROOM_AGAIN_MS if excess_bytes else _AGAIN_MS)
        return [held[verdict.job] for verdict in verdicts if verdict.goes]

    async def _finished(self, jobs: Sequence[str]) -> dict[str, int | None]:
        """When the jobs that the cell knows finished; None for those that have not."""
        found: dict[str, int | None] = {}
        for first in range(0, len(jobs), _PER_CALL):
            reply = await self._cell.inspect(jobs[first : first + _PER_CALL])
            found |= {job.id: job.record.finished_ms or None for job in reply.jobs}
        return found

    async def _drop_drafts(self, hours: Sequence[str], now_ms: int) -> int:
        """Once an hour, what uploads of the latest days left half done."""
        if now_ms < self._drafts_ms + HOUR_MS:
            return 0
        self._drafts_ms = now_ms
        oldest = hour_of(now_ms - _DRAFT_HOURS_MS)
        dropped = 0
        for hour in hours:
            if hour >= oldest:
                dropped += await self._holdings.drop_drafts(hour, before_ms=now_ms - DRAFT_MS)
        if dropped:
            log.info("half_written_outputs_removed", files=dropped)
        return dropped


def _first(outputs: Sequence[HeldOutputs], *, files: int) -> list[HeldOutputs]:
    """As many as fit in so many files; at least one."""
    some: list[HeldOutputs] = []
    for one in outputs:
        if some and len(one.keys) > files:
            break
        some.append(one)
        files -= len(one.keys)
    return some
