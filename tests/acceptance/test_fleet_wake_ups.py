"""No idle machine stands beside a job that it could start, for more than a second, when machines dial brokers that die and lines that break."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import time
from pathlib import Path

import msgspec
import pytest

from northstar.assembly.front import admission_to
from northstar.domain.admission import InviteTerms
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, machine_token
from tests.acceptance.heartbeat import silence_s
from tests.acceptance.history import read_kept_history
from tests.acceptance.processes import Child
from tests.acceptance.stage import Stage, stage
from tests.acceptance.test_wake_ups import everything_is_done, meanwhile, pause_at_random
from tests.acceptance.watcher import LAG_S, Watcher
from tests.cable import Cable, cable
from tests.conftest import LONG, chosen_profile
from tests.servers import RunningServer, eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(1_200 if chosen_profile() == LONG else 180)]

FOR_S = float(os.environ.get("NORTHSTAR_HUNT_S", "600")) if chosen_profile() == LONG else 5.0
#: Between two strikes.
APART_S = (0.3, 1.0)
#: For the last jobs; one that was handed over by a broker which died begins elsewhere when its lease ends.
DONE_WITHIN_S = 120.0 if chosen_profile() == LONG else 60.0
#: The long profile has the settings as they are shipped.
SETTINGS = "" if chosen_profile() == LONG else "[serve]\ngrace_s = 0.5\nping_every_s = 0.3\nping_timeout_s = 0.3\n"
PING_S = 3.0 if chosen_profile() == LONG else 0.3
#: A machine whose connection was forgotten does not know it for so long: it is no idle machine, it is out of reach.
UNAWARE_S = PING_S * 1.5 + 1.0


class Host(msgspec.Struct, eq=False):
    """A process of three machines, the first of which holds a model, at the end of a cable of its own."""

    child: Child
    names: tuple[str, ...]
    line: Cable
    out_of_reach_until_s: float = 0.0


class Fleet:
    """Two brokers and two hosts; some die, others come; lines are cut, forgotten and snapped."""

    def __init__(self, cell: Stage, folder: Path, rng: random.Random, lines: contextlib.AsyncExitStack) -> None:
        self._stage = cell
        self._rng = rng
        self._lines = lines
        self._count = 0
        self.history = f"sqlite:///{folder / 'history.db'}"
        self._settings = folder / "serve.toml"
        self._settings.write_text(f'data_dir = "{folder}"\n\n[history]\nurl = "{self.history}"\n\n{SETTINGS}')
        self._brokers: dict[int, tuple[Child, Path]] = {}
        self._hosts: list[Host] = []
        self._mending: set[asyncio.Task[None]] = set()
        self.struck: dict[str, int] = {}
        #: Looks at moments in which every broker got to run.
        self.good_looks = 0

    async def add_broker(self) -> None:
        self._count += 1
        name = f"serve{self._count}"
        child, port = self._stage.serve(name, settings=self._settings)

        async def listens() -> bool:
            child.check()
            return port.exists()

        await eventually(listens, what=f"{name} serves", within_s=60)
        self._brokers[int(port.read_text())] = (child, self._stage.heartbeat(name))
        self._aim()

    def _aim(self) -> None:
        for host in self._hosts:
            host.line.targets = list(self._brokers)

    async def add_host(self) -> None:
        self._count += 1
        names = tuple(f"h{self._count}-{place}" for place in ("warm", "cold", "chilly"))
        tokens = tuple([await self._token(name) for name in names])
        line = await self._lines.enter_async_context(cable(*self._brokers))
        more = {"models": ("alpha",), "download_bytes_per_s": 1e9}
        child = self._stage.agent(*names, tokens=tokens, broker=line.url, ping_every_s=PING_S, **more)
        self._hosts.append(Host(child, names, line))

    async def _token(self, machine: str) -> str:
        admission = admission_to(self._stage.cell)
        invite = (await admission.invite(InviteTerms(pools=("standard",)), by="test")).invite
        id_bytes, secret_bytes = secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES)
        token = machine_token(invite, id_bytes=id_bytes, secret_bytes=secret_bytes)
        await admission.redeem(invite.reveal(), token.reveal(), machine=machine)
        return token.reveal()

    def alive(self) -> tuple[dict[str, Path], list[Path]]:
        """Machines within reach, and brokers; nobody while a broker does not get to run: its machines cannot be woken then."""
        brokers = [beat for _, beat in self._brokers.values()]
        if any(silence_s(beat) >= LAG_S for beat in brokers):
            return {}, []
        self.good_looks += 1
        now_s = time.monotonic()
        reached = [host for host in self._hosts if not host.line.is_cut and host.out_of_reach_until_s < now_s]
        return {name: self._stage.heartbeat(name) for host in reached for name in host.names}, brokers

    async def strike(self) -> None:
        """Something happens to somebody."""
        strike = self._rng.choice((self._kill_broker, self._kill_host, self._cut, self._forget, self._snap))
        name = strike.__name__.strip("_")
        self.struck[name] = self.struck.get(name, 0) + 1
        await strike()

    async def _kill_broker(self) -> None:
        port = self._rng.choice(list(self._brokers))
        child, _ = self._brokers.pop(port)
        self._aim()
        self._stage.kill(child)
        await self.add_broker()

    async def _kill_host(self) -> None:
        host = self._hosts.pop(self._rng.randrange(len(self._hosts)))
        if self._rng.random() < 0.5:
            self._stage.kill(host.child)
        else:
            self._stage.forget(host.child)
            host.child.stop()
        await self.add_host()

    async def _cut(self) -> None:
        host = self._rng.choice(self._hosts)
        host.line.cut()

        async def mend(after_s: float) -> None:
            await asyncio.sleep(after_s)
            host.line.mend()

        task = asyncio.create_task(mend(self._rng.uniform(0.1, 3 * PING_S)))
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)

    async def _forget(self) -> None:
        host = self._rng.choice(self._hosts)
        host.out_of_reach_until_s = time.monotonic() + UNAWARE_S
        host.line.forget()

    async def _snap(self) -> None:
        self._rng.choice(self._hosts).line.snap()


async def test_no_wake_up_is_lost_between_brokers_that_die_and_machines_whose_lines_break(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    rng = random.Random(101)
    async with stage(kill_server.url, tmp_path, seed=70) as cell, contextlib.AsyncExitStack() as lines:
        await cell.cell.declare(["model:alpha"], by="test")
        fleet = Fleet(cell, tmp_path, rng, lines)
        await asyncio.gather(fleet.add_broker(), fleet.add_broker())
        await asyncio.gather(fleet.add_host(), fleet.add_host())
        watcher = Watcher(cell.cell, fleet.alive)
        hunters = [cell.hunter(name, for_s=FOR_S, pause_s=0.06) for name in ("x", "y")]
        for hunter in hunters:
            cell.forget(hunter)
        async with meanwhile(watcher.watch(), pause_at_random(cell.cell, rng)):
            while any(hunter.is_running for hunter in hunters):
                await asyncio.sleep(rng.uniform(*APART_S))
                await fleet.strike()
            await everything_is_done(cell, within_s=DONE_WITHIN_S)
        history = await read_kept_history(cell.cell, fleet.history)
        print(
            f"{len(history.jobs)} jobs, struck {fleet.struck}, {fleet.good_looks} looks of {watcher.samples}, "
            f"longest idle beside a ready job {watcher.longest_s:.2f} s, {history.recoveries} recoveries"
        )
        assert watcher.found == []
        assert fleet.good_looks > FOR_S
        history.check_numbers()
        history.check_recoveries()
        hunted = {job for jobs in cell.noted("hunted") for job in jobs}
        assert hunted <= set(history.jobs)
        assert {job.record.status for job in history.jobs.values()} <= {"succeeded", "canceled"}
        assert set(history.counted("job.succeeded").values()) == {1}
