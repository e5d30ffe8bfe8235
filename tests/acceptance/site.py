"""A cell with real brokers and machines around it: `northstar serve` and `northstar agent` as processes, asked through the cell itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from northstar.assembly.front import admission_to
from northstar.broker.submission import Submitter
from northstar.config import load
from northstar.domain.admission import InviteTerms
from northstar.domain.jobs import JobRequest, RetryRule
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, machine_token
from northstar.store.cell import Cell
from northstar.store.messages import JobRecord
from northstar.store.snapshots import read_snapshot
from northstar.store.valkey import connect
from tests.acceptance.history import History, read_kept_history
from tests.acceptance.orders import nonce
from tests.northstar_command import NOTHING, Northstar, RunningProcess
from tests.servers import eventually

#: Work that takes processor time and leaves a file, and work that only takes time.
SERVICES = """
[[machines]]
name = "local"
slots = 4
services = ["copy", "rest"]

[services.copy]
connector = "command"
arguments = ["@python", "-I", "-S", "COPY"]
warm_up = { text = "warm" }
expects = ["text/plain"]

[services.rest]
connector = "simulated"
run = { kind = "fixed", seconds = 0.1 }
"""
#: What is noticed by time is noticed sooner; everything else as it is.
SOON = """
[limits]
lease_ms = 3_000
alive_ms = 3_000
offer_ms = 1_000

[serve]
grace_s = 1.5
ping_every_s = 0.5
ping_timeout_s = 0.5

[agent]
renew_every_s = 0.75
ping_every_s = 0.5
"""
_WITHIN_S = 60.0
#: Machines are lost all day here; that must not count as the jobs' own fault.
_PATIENT = RetryRule(max_recoveries=1_000)


class Site:
    """Every process has a folder of its own, as on a host of its own; all brokers write one history."""

    def __init__(self, cell: Cell, *, valkey: str, folder: Path, settings: str, stack: contextlib.ExitStack) -> None:
        self.cell = cell
        self.assets = folder / "assets"
        self.folder = folder
        self._valkey = valkey
        self._stack = stack
        self._history = f"sqlite:///{folder / 'history.db'}"
        shared = f'\n[assets]\nurl = "{self.assets}"\n\n[history]\nurl = "{self._history}"\n'
        self._settings = settings + shared + SERVICES
        self._submitter = Submitter(cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic, view_s=0)

    async def serve(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        before: tuple[str, ...] = (),
        environment: Mapping[str, str] = NOTHING,
        program: tuple[str, ...] = (),
    ) -> tuple[RunningProcess, int]:
        """One `serve`, and the port on which machines dial it. `program` is that of another build."""
        there = Northstar(self.folder / name, settings=self._settings, program=program)
        options = ("--valkey", self._valkey, "--cell", self.cell.name, "--host", host, "--port", "0")
        process = self._stack.enter_context(there.started("serve", *options, before=before, environment=environment))
        pattern = re.compile(r"broker\s+https?://[0-9.]+:(\d+), where machines dial")
        await until(process, lambda: pattern.search(process.words()) is not None, what=f"{name} serves")
        found = pattern.search(process.words())
        assert found
        return process, int(found[1])

    async def machine(
        self,
        name: str,
        url: str,
        *,
        slots: int = 4,
        before: tuple[str, ...] = (),
        environment: Mapping[str, str] = NOTHING,
        program: tuple[str, ...] = (),
    ) -> RunningProcess:
        """A machine that has joined and waits for work; one that was there before has its token still."""
        there = Northstar(self.folder / name, settings=self._settings, program=program)
        if not (there.folder / "token").exists():
            (there.folder / "token").write_text(await self._token(name))
        arguments = ("agent", name, "--broker", url, "--token-file", str(there.folder / "token"))
        options = ("--slots", str(slots), "--service", "copy", "--service", "rest")
        process = self._stack.enter_context(there.started(*arguments, *options, before=before, environment=environment))
        await until(process, lambda: "broker_connected" in process.words(), what=f"{name} is connected")
        await self.machines_include(name)
        return process

    def commands(self, name: str, *, program: tuple[str, ...] = ()) -> Northstar:
        """Somebody who types commands of this cell."""
        options = ("--valkey", self._valkey, "--cell", self.cell.name)
        return Northstar(self.folder / name, settings=self._settings, options=options, program=program)

    async def _token(self, machine: str) -> str:
        admission = admission_to(self.cell)
        invite = (await admission.invite(InviteTerms(pools=("standard",)), by="test")).invite
        id_bytes, secret_bytes = secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES)
        token = machine_token(invite, id_bytes=id_bytes, secret_bytes=secret_bytes)
        await admission.redeem(invite.reveal(), token.reveal(), machine=machine)
        return token.reveal()

    async def machines(self) -> set[str]:
        return set((await read_snapshot(self.cell.client, self.cell.keys)).machines)

    async def machines_include(self, name: str) -> None:
        async def is_so() -> bool:
            return name in await self.machines()

        await eventually(is_so, what=f"{name} is registered", within_s=_WITHIN_S)

    async def submit(self, *ids: str, service: str = "rest", **payload: Any) -> None:
        requests = [JobRequest(service=service, id=job, payload=payload, retry=_PATIENT) for job in ids]
        await self._submitter.submit(requests)

    async def record(self, job: str) -> JobRecord:
        (found,) = (await self.cell.inspect([job])).jobs
        return found.record

    async def until_job(self, job: str, is_so: Callable[[JobRecord], bool], *, what: str) -> JobRecord:
        async def ask() -> bool:
            return is_so(await self.record(job))

        await eventually(ask, what=f"{job} {what}", within_s=_WITHIN_S)
        return await self.record(job)

    async def runs_on(self, job: str, machine: str) -> JobRecord:
        return await self.until_job(
            job, lambda known: known.status == "running" and known.machine == machine, what=f"runs on {machine}"
        )

    async def becomes(self, job: str, status: str) -> JobRecord:
        return await self.until_job(job, lambda known: known.status == status, what=f"is {status}")

    async def check_each_done_once(self, jobs: Iterable[str]) -> History:
        """Exactly these jobs: none lost, each stored once, and nobody was charged for a machine."""
        history = await read_kept_history(self.cell, self._history)
        history.check_numbers()
        history.check_recoveries()
        wanted = dict.fromkeys(jobs, 1)
        assert history.counted("job.submitted") == wanted
        assert history.counted("job.succeeded") == wanted
        assert {job.record.status for job in history.jobs.values()} == {"succeeded"}
        assert {job.record.attempts for job in history.jobs.values()} == {0}
        return history


async def until(process: RunningProcess, is_so: Callable[[], bool], *, what: str, within_s: float = _WITHIN_S) -> None:
    """Wait for something while the process runs."""

    async def so_or_over() -> bool:
        assert process.popen.poll() is None, f"ended with {process.popen.returncode} before {what}:\n{process.words()}"
        return is_so()

    await eventually(so_or_over, what=what, within_s=within_s)


@contextlib.asynccontextmanager
async def site(valkey: str, folder: Path, *, settings: str = SOON) -> AsyncIterator[Site]:
    """A cell with the limits of these settings; its processes end with the block."""
    file = folder / "limits.toml"
    file.write_text(settings)
    client = connect(valkey)
    with contextlib.ExitStack() as stack:
        try:
            cell = Cell(client, f"site-{nonce()}")
            await cell.open(load(environment={}, file=file, options={}).limits)
            await cell.declare(["pool:standard", "service:copy", "service:rest"], by="test")
            yield Site(cell, valkey=valkey, folder=folder, settings=settings, stack=stack)
        finally:
            await asyncio.to_thread(stack.close)
            await client.aclose()
