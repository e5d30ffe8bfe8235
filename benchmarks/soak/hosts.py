"""Hosts that live, are killed, and are followed by others."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.peers.processes import Process
from benchmarks.soak.plan import Order, Plan
from northstar.broker.admission import Admission
from northstar.connectors.secret import Secret
from northstar.domain.admission import InviteTerms
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, machine_token
from northstar.store.cell import Cell

_STAGGER_S = 0.05


class Host(msgspec.Struct, frozen=True):
    """A process and the names of its machines."""

    process: Process
    machines: tuple[str, ...]


class Hosts:
    """`lost` gives, for each machine that was killed, when, in ms since 1970."""

    def __init__(self, plan: Plan, cell: Cell, *, broker: str, folder: Path) -> None:
        self._plan = plan
        self._rng = random.Random(plan.seed)
        self._admission = Admission(cell, random_bytes=secrets.token_bytes, monotonic=time.monotonic)
        self._broker = broker
        self._folder = folder
        self._living: list[Host] = []
        self._count = 0
        self.kills = 0
        self.lost: dict[str, int] = {}

    async def begin(self) -> None:
        """As many as planned."""
        for _ in range(self._plan.hosts):
            await self._add()
            await asyncio.sleep(_STAGGER_S)

    async def kill_for_ever(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / self._plan.kill_every_s))
            host = self._living.pop(self._rng.randrange(len(self._living)))
            host.process.check_alive()
            os.killpg(host.process.group, signal.SIGKILL)
            self.lost |= dict.fromkeys(host.machines, time.time_ns() // 1_000_000)
            self.kills += 1
            await asyncio.to_thread(host.process.stop)
            await self._add()

    async def _add(self) -> None:
        self._count += 1
        name = f"host-{self._count}"
        machines = {
            f"{name}-gpu{place}": await self._token(f"{name}-gpu{place}") for place in range(self._plan.machines_each)
        }
        folder = self._folder / name
        folder.mkdir()
        tokens = {machine: token.reveal() for machine, token in machines.items()}
        order = Order(broker=self._broker, folder=str(folder), machines=tokens, median_s=self._plan.median_s)
        command = [sys.executable, "-P", "-m", "benchmarks.soak.host", msgspec.json.encode(order).decode()]
        self._living.append(Host(Process(name, command, folder=self._folder), tuple(machines)))

    async def _token(self, machine: str) -> Secret:
        invite = (await self._admission.invite(InviteTerms(pools=("standard",)), by="benchmark")).invite
        id_bytes, secret_bytes = secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES)
        token = machine_token(invite, id_bytes=id_bytes, secret_bytes=secret_bytes)
        await self._admission.redeem(invite.reveal(), token.reveal(), machine=machine)
        return Secret(token.reveal())

    def check(self) -> None:
        """Raises PeerFailed when a host ended that nobody killed."""
        for host in self._living:
            host.process.check_alive()

    def end(self) -> None:
        """Stop whoever lives."""
        for host in self._living:
            host.process.stop()
