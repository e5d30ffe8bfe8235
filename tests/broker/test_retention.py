"""Outputs go when their time is over or others need their room, and never before; whatever else happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from northstar.broker import retention
from northstar.broker.retention import OutputRetention, Turn
from northstar.broker.submission import Submitter
from northstar.domain.jobs import JobRequest
from northstar.domain.limits import CellLimits
from northstar.policy.outputs.retention import RetentionRule
from northstar.store.asset_errors import AssetMissing, AssetRetired, AssetStoreFull, AssetStoreUnavailable
from northstar.store.asset_holdings import Holdings
from northstar.store.asset_names import HOUR_MS, hour_of
from northstar.store.asset_notes import Note
from northstar.store.assets import AssetRef, AssetStore
from northstar.store.cell import Cell
from northstar.store.valkey import connect
from tests.servers import RunningServer

DAY_MS = 24 * HOUR_MS
KEEP_10_DAYS = RetentionRule(keep_ms=10 * DAY_MS, limit_bytes=0, least_ms=HOUR_MS)
LIMIT_100 = RetentionRule(keep_ms=10 * DAY_MS, limit_bytes=100, least_ms=HOUR_MS)


class Keeper:
    """A cell whose clock the test moves, and its outputs in a folder."""

    def __init__(self, cell: Cell, folder: Path) -> None:
        self.cell = cell
        self.folder = folder
        self.store = AssetStore(folder)
        self.holdings = Holdings(self.store, cell=cell.name)

    @property
    def now_ms(self) -> int:
        assert self.cell.now_ms is not None
        return self.cell.now_ms

    def pass_ms(self, ms: int) -> None:
        self.cell.now_ms = self.now_ms + ms

    async def leave(self, job: str, *, ago_ms: int = 0, size: int = 10) -> AssetRef:
        """A file that the job left so long ago."""
        at_ms = self.now_ms - ago_ms
        ref = await self.store.put(
            secrets.token_bytes(size), cell=self.cell.name, job_id=job, name="1.png", at_ms=at_ms
        )
        path = self.store.local_path(ref)
        assert path is not None
        os.utime(path, (at_ms / 1000, at_ms / 1000))
        return ref

    async def submit(self, *jobs: str) -> None:
        submitter = Submitter(self.cell, new_id=lambda: secrets.token_hex(16), monotonic=time.monotonic)
        await submitter.submit([JobRequest(service="waits", id=job) for job in jobs])

    def retention(self, rule: RetentionRule, *, name: str = "one") -> OutputRetention:
        return OutputRetention(self.cell, self.holdings, rule=rule, name=name, every_s=60.0)

    async def turn(self, rule: RetentionRule) -> Turn:
        return await self.retention(rule).turn()

    def jobs_left(self) -> set[str]:
        return {path.parts[-3] for path in self.folder.rglob("*.png")}


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4_096))


@pytest_asyncio.fixture
async def keeper(broker_server: RunningServer, tmp_path: Path) -> AsyncIterator[Keeper]:
    cell = Cell(connect(broker_server.url), f"k{secrets.token_hex(6)}")
    # Between two hours, so that what is written now and an instant ago lies in one.
    cell.now_ms = int(time.time() * 1000) // HOUR_MS * HOUR_MS + HOUR_MS // 2
    await cell.open(CellLimits(), clock="virtual")
    await cell.declare(["pool:standard", "service:waits"], by="test")
    yield Keeper(cell, tmp_path / "assets")
    await cell.client.aclose()


async def test_outputs_go_after_their_days_and_the_younger_ones_stay(keeper: Keeper) -> None:
    old = await keeper.leave("old", ago_ms=11 * DAY_MS)
    young = await keeper.leave("young", ago_ms=9 * DAY_MS)
    turn = await keeper.turn(KEEP_10_DAYS)
    assert (turn.jobs, turn.size_bytes, turn.more) == (1, 10, False)
    assert keeper.jobs_left() == {"young"}
    assert len(await keeper.store.get(young)) == 10
    with pytest.raises(AssetRetired, match=r"is no longer kept: its time was over") as caught:
        await keeper.store.get(old)
    assert (caught.value.code, caught.value.retryable) == ("NS_ASSET_RETIRED", False)


async def test_a_clock_of_the_servers_host_that_is_far_ahead_makes_nothing_old(keeper: Keeper) -> None:
    kept = await keeper.leave("kept")
    right_ms = keeper.now_ms
    keeper.pass_ms(400 * DAY_MS)
    by_both = OutputRetention(
        keeper.cell, keeper.holdings, rule=KEEP_10_DAYS, name="one", every_s=60.0, wall_ms=lambda: right_ms
    )
    assert (await by_both.turn()).jobs == 0
    assert len(await keeper.store.get(kept)) == 10
    right_ms += 400 * DAY_MS
    assert (await by_both.turn()).jobs == 1


async def test_a_file_is_no_older_than_its_hour_whatever_its_disk_says(keeper: Keeper) -> None:
    kept = await keeper.leave("kept", ago_ms=2 * HOUR_MS)
    path = keeper.store.local_path(kept)
    assert path is not None
    os.utime(path, (1.0, 1.0))
    rule = RetentionRule(keep_ms=10 * DAY_MS, limit_bytes=1, least_ms=3 * HOUR_MS)
    assert (await keeper.turn(rule)).jobs == 0
    assert keeper.jobs_left() == {"kept"}


async def test_what_never_was_is_missing_and_not_retired(keeper: Keeper) -> None:
    await keeper.leave("old", ago_ms=11 * DAY_MS)
    ref = await keeper.leave("young")
    await keeper.turn(KEEP_10_DAYS)
    await keeper.store.remove(ref)
    with pytest.raises(AssetMissing) as caught:
        await keeper.store.get(ref)
    assert not isinstance(caught.value, AssetRetired)


async def test_an_unfinished_job_keeps_its_outputs_whatever_their_age_and_the_room(keeper: Keeper) -> None:
    await keeper.submit("waiting", "canceled")
    for job in ("waiting", "canceled", "forgotten"):
        await keeper.leave(job, ago_ms=11 * DAY_MS, size=200)
    await keeper.cell.cancel(["canceled"], because="test")
    keeper.pass_ms(2 * HOUR_MS)
    turn = await keeper.turn(LIMIT_100)
    # The cancelled job is no longer young, and there is no room; the other is waiting to run again.
    assert keeper.jobs_left() == {"waiting"}
    assert (turn.jobs, turn.is_full) == (2, True)


async def test_beyond_the_limit_the_oldest_go_until_the_rest_fits(keeper: Keeper) -> None:
    for days in range(9):
        await keeper.leave(f"d{days}", ago_ms=days * DAY_MS, size=20)
    turn = await keeper.turn(LIMIT_100)
    assert keeper.jobs_left() == {"d0", "d1", "d2", "d3", "d4"}
    assert (turn.jobs, turn.is_full) == (4, False)


async def test_within_an_hour_the_oldest_go_first_too(keeper: Keeper) -> None:
    keeper.pass_ms(DAY_MS)
    for minute in (3, 1, 2):
        await keeper.leave(f"m{minute}", ago_ms=DAY_MS + minute * 60_000, size=50)
    await keeper.turn(LIMIT_100)
    assert keeper.jobs_left() == {"m1", "m2"}


async def test_when_all_is_too_young_to_go_no_more_is_taken_until_something_may(keeper: Keeper) -> None:
    await keeper.leave("a", size=101)
    sweeper = keeper.retention(LIMIT_100)
    assert (await sweeper.turn()).is_full
    other_process = AssetStore(keeper.folder)
    with pytest.raises(AssetStoreFull, match=r"is full; make room there, or raise assets\.limit_gib") as caught:
        await other_process.expect_room(cell=keeper.cell.name)
    assert caught.value.retryable
    with pytest.raises(AssetStoreFull):
        await other_process.put(b"x", cell=keeper.cell.name, job_id="b", name="n", at_ms=keeper.now_ms)
    await other_process.expect_room(cell="another-cell")
    keeper.pass_ms(2 * HOUR_MS)
    assert not (await sweeper.turn()).is_full
    await AssetStore(keeper.folder).expect_room(cell=keeper.cell.name)


async def test_room_is_made_as_soon_as_something_may_go(keeper: Keeper) -> None:
    await keeper.submit("waiting")
    await keeper.leave("waiting", ago_ms=2 * DAY_MS, size=101)
    await keeper.leave("a", ago_ms=HOUR_MS - 1_000, size=50)
    sweeper = keeper.retention(LIMIT_100)
    assert (await sweeper.turn()).jobs == 0
    keeper.pass_ms(1_000)
    assert (await sweeper.turn()).jobs == 1
    await keeper.cell.cancel(["waiting"], because="test")
    keeper.pass_ms(HOUR_MS)
    turn = await sweeper.turn()
    assert (turn.jobs, turn.is_full, keeper.jobs_left()) == (1, False, set())


async def test_a_disk_that_is_nearly_full_takes_no_more_and_loses_nothing(keeper: Keeper) -> None:
    ref = await keeper.leave("a")
    careful = AssetStore(keeper.folder, keep_free_bytes=10**18)
    with pytest.raises(AssetStoreFull):
        await careful.put(b"x", cell="c", job_id="b", name="n", at_ms=keeper.now_ms)
    assert len(await careful.get(ref)) == 10


async def test_half_written_files_of_killed_processes_go_and_those_under_way_stay(keeper: Keeper) -> None:
    ref = await keeper.leave("a")
    path = keeper.store.local_path(ref)
    assert path is not None
    left, under_way = path.with_name(".0123456789abcdef.part"), path.with_name(".fedcba9876543210.part")
    for draft, ago_ms in ((left, 7 * HOUR_MS), (under_way, HOUR_MS)):
        draft.write_bytes(b"half")
        at_s = (keeper.now_ms - ago_ms) / 1000
        os.utime(draft, (at_s, at_s))
    assert (await keeper.turn(KEEP_10_DAYS)).drafts == 1
    assert sorted(draft.name for draft in keeper.folder.rglob("*.part")) == [under_way.name]
    assert keeper.jobs_left() == {"a"}


async def test_one_process_does_the_work_and_another_takes_over_when_it_is_gone(keeper: Keeper) -> None:
    one, two = keeper.retention(KEEP_10_DAYS, name="one"), keeper.retention(KEEP_10_DAYS, name="two")
    assert not (await one.turn()).elsewhere
    await keeper.leave("old", ago_ms=11 * DAY_MS)
    assert (await two.turn()).elsewhere
    assert keeper.jobs_left() == {"old"}
    keeper.pass_ms(4 * 60_000)
    assert (await two.turn()).jobs == 1
    assert (await one.turn()).elsewhere


async def test_a_note_from_a_clock_that_was_far_ahead_holds_nobody_up(keeper: Keeper) -> None:
    await keeper.holdings.write_note(Note(by="other", until_ms=keeper.now_ms + 365 * DAY_MS))
    assert not (await keeper.turn(KEEP_10_DAYS)).elsewhere


async def test_two_that_work_at_once_come_to_the_same_and_take_no_more_than_one_would(keeper: Keeper) -> None:
    for days in range(1, 10):
        for job in range(5):
            await keeper.leave(f"d{days}-{job}", ago_ms=days * DAY_MS + job * 1000, size=10)
    sweepers = [keeper.retention(LIMIT_100, name=name) for name in ("one", "two", "three")]
    for sweeper in sweepers:  # all know how much there was before any of them began
        await sweeper._survey(await keeper.holdings.hours(), keeper.now_ms)
    hours, note = await keeper.holdings.hours(), await keeper.holdings.note()
    turns = (sweeper._retire(hours, note, now_ms=keeper.now_ms, is_surveyed=True) for sweeper in sweepers)
    await asyncio.gather(*turns)
    assert keeper.jobs_left() == {f"d{days}-{job}" for days in (1, 2) for job in range(5)}


async def test_a_turn_is_bounded_and_says_that_there_is_more(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MAX_FILES", 2)
    monkeypatch.setattr(retention, "MAX_HOURS", 2)
    for days in range(11, 16):
        await keeper.leave(f"d{days}", ago_ms=days * DAY_MS)
    sweeper = keeper.retention(KEEP_10_DAYS)
    found = [await sweeper.turn() for _ in range(3)]
    assert [(turn.jobs, turn.more) for turn in found] == [(2, True), (2, True), (1, False)]
    assert keeper.jobs_left() == set()


async def test_nothing_goes_for_room_before_all_is_known(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MAX_HOURS", 1)
    for days in (1, 2, 3):
        await keeper.leave(f"d{days}", ago_ms=days * DAY_MS, size=60)
    sweeper = keeper.retention(LIMIT_100)
    found = [await sweeper.turn() for _ in range(4)]
    assert [turn.jobs for turn in found] == [0, 0, 1, 1]
    assert keeper.jobs_left() == {"d1"}


async def test_folders_that_are_no_hours_are_left_alone(keeper: Keeper) -> None:
    own = keeper.folder / keeper.cell.name / "20260230-99" / "job" / "hash" / "mine.png"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    await keeper.turn(KEEP_10_DAYS)
    assert own.exists()


async def test_empty_folders_go_with_their_outputs(keeper: Keeper) -> None:
    await keeper.leave("old", ago_ms=11 * DAY_MS)
    await keeper.turn(KEEP_10_DAYS)
    cell = keeper.folder / keeper.cell.name
    assert [path.name for path in cell.iterdir()] == [".retention.json"]


async def test_a_note_that_cannot_be_read_is_written_anew(keeper: Keeper) -> None:
    await keeper.leave("old", ago_ms=11 * DAY_MS)
    (keeper.folder / keeper.cell.name / ".retention.json").write_bytes(b"\x00not json")
    assert (await keeper.turn(KEEP_10_DAYS)).jobs == 1
    assert (await keeper.holdings.note()).retired_until == hour_of(keeper.now_ms - 11 * DAY_MS)


async def test_what_has_no_name_of_a_job_is_left_alone_and_stops_nothing(keeper: Keeper) -> None:
    await keeper.leave("old", ago_ms=11 * DAY_MS)
    hour = keeper.folder / keeper.cell.name / hour_of(keeper.now_ms - 11 * DAY_MS)
    for name in ("x" * 200, "two words"):
        (hour / name / "hash").mkdir(parents=True)
        (hour / name / "hash" / "mine.png").write_bytes(b"mine")
    assert (await keeper.turn(KEEP_10_DAYS)).jobs == 1
    assert keeper.jobs_left() == {"x" * 200, "two words"}


async def test_on_a_disk_without_room_for_a_note_the_old_go_all_the_same(keeper: Keeper) -> None:
    keeper.folder.mkdir(exist_ok=True)
    with small_disk(keeper.folder):
        keeper = Keeper(keeper.cell, keeper.folder)
        old = await keeper.leave("old", ago_ms=11 * DAY_MS, size=300_000)
        await keeper.leave("young", size=300_000)
        fill(keeper.folder / "filler")
        with pytest.raises(AssetStoreFull):
            await keeper.leave("more", size=50_000)
        assert (await keeper.turn(KEEP_10_DAYS)).jobs == 1
        await keeper.leave("more", size=50_000)
        assert keeper.jobs_left() == {"young", "more"}
        with pytest.raises(AssetRetired):
            await keeper.store.get(old)


async def test_a_store_that_fails_stops_nothing_else_and_is_tried_again(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = asyncio.Event()
    real = keeper.holdings.hours

    async def fails_once() -> list[str]:
        if not tried.is_set():
            tried.set()
            raise AssetStoreUnavailable("cut off")
        return await real()

    monkeypatch.setattr(keeper.holdings, "hours", fails_once)
    await keeper.leave("old", ago_ms=11 * DAY_MS)
    sweeper = OutputRetention(keeper.cell, keeper.holdings, rule=KEEP_10_DAYS, name="one", every_s=0.01)
    running = asyncio.create_task(sweeper.run())
    async with asyncio.timeout(10):
        while keeper.jobs_left():
            await asyncio.sleep(0.01)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert tried.is_set()
