"""Brokers of one cell miss each other: who is gone has its machines suspected, by one of the others, once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from northstar.broker.gateway.broker_watch import BrokerWatch
from northstar.domain.errors import Unavailable
from northstar.domain.limits import CellLimits
from northstar.policy.fleet.broker_beats import BeatRule
from northstar.store.beats import beat, beats_key, end_beats, heard_brokers
from northstar.store.bells import listen
from northstar.store.cell import Cell
from northstar.store.errors import ValkeyGone
from tests.agent.rig import PROFILE, Runs, nonce, soon
from tests.broker.gateway.rig import Fleet
from tests.servers import RunningServer, eventually

#: Far more than the 3 s for which a machine of this rig counts as alive, or far less.
GRACE_S = 0.25


class CountingCell(Cell):
    """A cell that notes which machines were suspected by it, and can be without the server for this one call."""

    suspected: list[str]
    fails = False

    grace_ms = 0

    async def suspect_machine(self, machine: str, *, session: str, holder: str, grace_ms: int) -> bool:
        self.grace_ms = grace_ms
        if self.fails:
            self.fails = False
            raise ValkeyGone("the connection broke")
        self.suspected.append(machine)
        return await super().suspect_machine(machine, session=session, holder=holder, grace_ms=grace_ms)


class Watching:
    """A broker that looks when the test says so, a second after the last look."""

    def __init__(self, fleet: Fleet, name: str, *, grace_s: float = GRACE_S, rule: BeatRule | None = None) -> None:
        self.cell = CountingCell(fleet.client(), fleet.cell.name)
        self.cell.suspected = []
        self._there, self._nowhere = self.cell.client, fleet.client("unix:///nowhere/valkey.sock")
        self.name = name
        self.away = 0
        self._now_s = 1_000.0
        self._watch = BrokerWatch(
            self.cell,
            serve=name,
            grace_s=grace_s,
            rule=rule,
            monotonic=lambda: self._now_s,
            jitter=lambda: 0.5,
            was_away=self._was_away,
        )

    def _was_away(self) -> None:
        self.away += 1

    def loses_the_server(self) -> None:
        self.cell.client = self._nowhere

    def finds_the_server(self) -> None:
        self.cell.client = self._there

    async def look(self, *, after_s: float = 1.0) -> None:
        self._now_s += after_s
        await self._watch.look()


async def held_by(fleet: Fleet, machine: str, holder: str) -> None:
    await fleet.cell.register_machine(
        machine=machine,
        session=f"session-{machine}",
        profile=PROFILE.canonical(),
        fits=(),
        slots=1,
        vram_mb=0,
        holder=holder,
        description="{}",
        words=PROFILE.words(),
        nonce=nonce(),
    )


async def is_there(fleet: Fleet, machine: str) -> bool:
    await fleet.cell.tick(nonce=nonce())
    return bool(await fleet.client().execute_command("HEXISTS", fleet.cell.keys["machines"], machine))


async def is_lost(fleet: Fleet, machine: str) -> None:
    async def is_so() -> bool:
        return not await is_there(fleet, machine)

    await eventually(is_so, what=f"{machine} is lost", within_s=10.0)


@contextlib.asynccontextmanager
async def heard(cell: Cell, broker: str) -> AsyncIterator[None]:
    """Somebody listens to this broker's bells."""
    hears = asyncio.Event()

    async def hear() -> None:
        async for _ in listen(cell.client, cell.keys, (broker,)):
            hears.set()

    hearing = asyncio.create_task(hear())
    try:
        await hears.wait()
        yield
    finally:
        hearing.cancel()
        await asyncio.wait({hearing})


async def saw_beat(fleet: Fleet, broker: str, *watching: Watching) -> None:
    for _ in range(2):
        await beat(fleet.cell, broker)
        for one in watching:
            await one.look()


@pytest.fixture
async def opened(fleet: Fleet) -> Fleet:
    await fleet.opened()
    return fleet


async def test_machines_of_a_broker_that_vanished_are_suspected_and_no_others(opened: Fleet) -> None:
    me = Watching(opened, "me")
    await held_by(opened, "orphan", "gone")
    await held_by(opened, "mine", "me")
    await held_by(opened, "direct", "direct")
    await saw_beat(opened, "gone", me)
    await me.look()
    assert me.cell.suspected == []
    await me.look()
    assert me.cell.suspected == ["orphan"]
    await is_lost(opened, "orphan")
    assert await is_there(opened, "mine")
    assert await is_there(opened, "direct")


async def test_a_machine_that_has_dialled_another_broker_by_then_loses_nothing(opened: Fleet) -> None:
    me = Watching(opened, "me")
    await held_by(opened, "quick", "gone")
    await saw_beat(opened, "gone", me)
    await held_by(opened, "quick", "me")
    for _ in range(5):
        await me.look()
    assert me.cell.suspected == []


async def test_several_that_miss_it_do_the_work_once(opened: Fleet) -> None:
    watching = [Watching(opened, name) for name in ("one", "two", "three")]
    for number in range(40):
        await held_by(opened, f"m{number}", "gone")
    await saw_beat(opened, "gone", *watching)
    for _ in range(5):
        await asyncio.gather(*(one.look() for one in watching))
    suspected = [machine for one in watching for machine in one.cell.suspected]
    assert sorted(suspected) == sorted(f"m{number}" for number in range(40))


async def test_what_one_could_not_end_is_done_at_its_next_look(opened: Fleet) -> None:
    me = Watching(opened, "me")
    await held_by(opened, "orphan", "gone")
    await saw_beat(opened, "gone", me)
    await me.look()
    me.cell.fails = True
    with pytest.raises(ValkeyGone):
        await me.look()
    await me.look()
    assert me.cell.suspected == ["orphan"]
    await me.look()
    assert me.cell.suspected == ["orphan"]


async def test_what_one_who_died_in_the_middle_left_undone_is_done_by_whoever_misses_it(opened: Fleet) -> None:
    me = Watching(opened, "me")
    await held_by(opened, "orphan", "gone")
    await saw_beat(opened, "gone", me)
    await beat(opened.cell, "other")
    await me.look()
    await beat(opened.cell, "other")
    assert await end_beats(opened.cell, "gone")  # by the other one, which died then
    await me.look()
    assert me.cell.suspected == []
    await me.look()
    await me.look()
    assert me.cell.suspected == ["orphan"]


async def test_a_broker_that_is_held_up_keeps_its_machines_for_ten_seconds(opened: Fleet) -> None:
    me = Watching(opened, "me")
    await held_by(opened, "orphan", "slow")
    async with heard(opened.cell, "slow"):
        await saw_beat(opened, "slow", me)
        for _ in range(9):
            await me.look()
        assert me.cell.suspected == []
        await me.look()
        assert me.cell.suspected == ["orphan"]


async def test_one_that_may_be_silent_for_less_is_missed_sooner_and_its_machines_have_what_is_left_of_their_grace(
    opened: Fleet,
) -> None:
    me = Watching(opened, "me", grace_s=4.0, rule=BeatRule(still_s=6.5))
    await held_by(opened, "orphan", "vanished")
    async with heard(opened.cell, "vanished"):
        await saw_beat(opened, "vanished", me)
        for _ in range(6):
            await me.look()
        assert me.cell.suspected == []
        await me.look()
        assert (me.cell.suspected, me.cell.grace_ms) == (["orphan"], 1_502)


async def test_a_broker_that_stops_in_order_is_not_missed(opened: Fleet) -> None:
    me = Watching(opened, "me")
    await held_by(opened, "waits", "stopped")
    await saw_beat(opened, "stopped", me)
    await end_beats(opened.cell, "stopped")
    for _ in range(12):
        await me.look()
    assert me.cell.suspected == []


async def test_machines_of_a_broker_that_ended_before_this_one_began_are_left_to_their_leases(opened: Fleet) -> None:
    await beat(opened.cell, "predecessor")
    await held_by(opened, "waits", "predecessor")
    me = Watching(opened, "me")
    for _ in range(15):
        await me.look()
    assert me.cell.suspected == []


async def test_machines_that_dial_one_that_was_given_up_and_is_back_are_its_own(opened: Fleet) -> None:
    me = Watching(opened, "me")
    await saw_beat(opened, "slow", me)
    await me.look()
    await me.look()  # given up
    await saw_beat(opened, "slow", me)
    await held_by(opened, "its", "slow")
    await held_by(opened, "orphan", "gone")
    for _ in range(2):
        await beat(opened.cell, "slow")
        await beat(opened.cell, "gone")
        await me.look()
    for _ in range(3):
        await beat(opened.cell, "slow")
        await me.look()
    assert me.cell.suspected == ["orphan"]


async def test_who_could_not_beat_for_a_while_looks_after_its_machines(opened: Fleet) -> None:
    me = Watching(opened, "me")
    await me.look()
    await me.look()
    assert me.away == 0
    await me.look(after_s=4.0)
    assert me.away == 1


async def test_who_could_not_reach_the_server_gives_the_others_their_whole_time_again(opened: Fleet) -> None:
    me = Watching(opened, "me")
    await held_by(opened, "orphan", "other")
    await saw_beat(opened, "other", me)
    await me.look()
    me.loses_the_server()
    for _ in range(5):
        with pytest.raises(Unavailable):
            await me.look()
    me.finds_the_server()
    await me.look()
    await me.look()
    assert me.cell.suspected == []
    await me.look()
    assert me.cell.suspected == ["orphan"]


async def test_a_front_beats_while_it_runs_and_says_when_it_goes(opened: Fleet) -> None:
    async def numbers() -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = await opened.client().execute_command("HGETALL", beats_key(opened.cell))
        return found

    async with opened.front():

        async def beats() -> bool:
            return any(int(number) >= 2 for number in (await numbers()).values())

        await eventually(beats, what="it has beaten twice", within_s=10.0)
        (name,) = await numbers()
        assert await heard_brokers(opened.cell, [name.decode(), "nobody"]) == {name.decode()}
    assert await numbers() == {}


async def test_a_machine_at_work_whose_broker_was_doubted_for_a_moment_keeps_its_job(
    gateway_server: RunningServer, tmp_path: Path
) -> None:
    """Another one took this broker for gone while it was held up: when it is back, its machines say at once that they live."""
    runs = Runs()
    async with (
        Fleet(gateway_server.url, tmp_path, limits=CellLimits()) as fleet,
        fleet.front() as front,
        fleet.dispatching(),
        fleet.dialling(front.url, session="its-session") as link,
        # Without a free slot it asks for no work, which would tell that it lives.
        fleet.working(fleet.worker(link, runs, renew_every_s=30.0, slots=1)),
    ):
        await fleet.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        await fleet.becomes("a", "running")  # it has renewed its lease, and will not for half a minute
        client, key = fleet.client(), fleet.cell.keys["alive"]
        holder = front.gateway.name
        doubted_until_ms = (await fleet.cell.inspect(())).now_ms + 2_000
        assert await fleet.cell.suspect_machine("m", session="its-session", holder=holder, grace_ms=2_000)
        front.gateway.look_again()

        async def is_known_to_live() -> bool:
            return float(await client.execute_command("ZSCORE", key, "m")) > doubted_until_ms + 10_000

        await eventually(is_known_to_live, what="it is known to live", within_s=20.0)
        runs.finish("a")
        await fleet.becomes("a", "succeeded")
        after = await fleet.record("a")
        assert (after.attempts, after.recoveries, after.claims) == (0, 0, 1)
