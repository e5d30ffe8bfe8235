"""The hunt for lost wake-ups: an idle machine beside a waiting job that it could start at once, for longer than allowed.

What a machine could start is policy's judgement, asked anew for each sample, so neither a stale list of candidates nor a lost
bell is an excuse. A machine that stands still because this computer is busy is none: time in which the process of the
machine, every dispatcher, or the watcher itself did not get to run does not count.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from northstar.domain.errors import Unavailable
from northstar.policy.routing.candidates import candidates
from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot
from northstar.store.cell import Cell
from northstar.store.snapshots import read_snapshot
from tests.acceptance.heartbeat import silence_s

#: Longest time that a fit machine may stand idle beside a ready job.
LIMIT_S = float(os.environ.get("NORTHSTAR_WAKE_LIMIT_S", "1.0"))
EVERY_S = 0.05
#: A process that did not get to run for so long does not count as responsive.
LAG_S = 0.1


class Sight(msgspec.Struct, frozen=True):
    """A machine with a free slot beside the oldest job of a lane that it may take now."""

    machine: str
    lane: str
    submitted_ms: int


class Watcher:
    """`alive` gives the heartbeats of machines by name, and of the dispatchers."""

    def __init__(self, cell: Cell, alive: Callable[[], tuple[dict[str, Path], list[Path]]]) -> None:
        self._cell = cell
        self._alive = alive
        self._since: dict[Sight, float] = {}
        self.samples = 0
        self.longest_s = 0.0
        self.found: list[str] = []

    async def watch(self) -> None:
        """For ever; looks every 50 ms."""
        last_s = time.monotonic()
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                sights = await self._look()
            except Unavailable:
                sights = set()
            now_s = time.monotonic()
            if now_s - last_s > EVERY_S + LAG_S:
                self._since.clear()
            else:
                self._compare(sights, now_s)
            last_s = now_s

    async def _look(self) -> set[Sight]:
        machines, dispatchers = self._alive()
        if not any(silence_s(beat) < LAG_S for beat in dispatchers):
            return set()
        awake = {name for name, beat in machines.items() if silence_s(beat) < LAG_S}
        client, keys = self._cell.client, self._cell.keys
        if await client.execute_command("HLEN", keys["pauses"]):
            return set()
        snapshot = await read_snapshot(client, keys)
        heads = await client.execute_command("HGETALL", keys["heads"])
        now_ms = (await self._cell.statistics()).counts["now_ms"]
        # Order of the first job, then the age of the oldest in 11 hexadecimal digits.
        oldest = {lane.decode(): int(head[-11:], 16) for lane, head in heads.items()}
        return {
            Sight(machine, lane, oldest[lane])
            for machine, lane, wait_ms in self._ready(snapshot)
            if machine in awake and lane in oldest and oldest[lane] + wait_ms <= now_ms
        }

    def _ready(self, seen: CellSnapshot) -> list[tuple[str, str, int]]:
        """(machine, lane, ready-after) for every machine with a free slot and every lane that it fits."""
        fits = {
            (profile_id, class_id): decide_fit(profile, wanted).fits
            for profile_id, profile in seen.profiles.items()
            for class_id, wanted in seen.classes.items()
        }
        decided = msgspec.structs.replace(seen, fits=fits)
        return [
            (machine.id, choice.subject, choice.ready_after_ms)
            for machine in seen.machines.values()
            if machine.active and machine.used < machine.slots
            for choice in candidates(machine, decided, PatienceRule())
        ]

    def _compare(self, sights: set[Sight], now_s: float) -> None:
        self.samples += 1
        self._since = {sight: self._since.get(sight, now_s) for sight in sights}
        for sight, since_s in self._since.items():
            self.longest_s = max(self.longest_s, now_s - since_s)
            if now_s - since_s > LIMIT_S:
                self.found.append(f"{sight} for {now_s - since_s:.2f} s")
