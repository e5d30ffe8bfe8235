"""A cell with one machine, in which jobs are submitted, run and ended through the same calls as in production."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any

import msgspec

from northstar.broker.submission import wanted_job
from northstar.broker.wanted_lanes import wanted_lane
from northstar.domain.jobs import ClaimedJob, JobRequest
from northstar.domain.limits import CellLimits
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.run_reports import RunReport, to_wire
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.cell import Cell
from northstar.store.keys import KEY_KINDS
from northstar.store.machine_facts import facts_text
from northstar.store.messages import Candidate, Done, Failure, InspectedJob, OpenReply, Placement
from northstar.store.valkey import ValkeyClient

NOON_MS = 1_700_000_000_000
PROFILE = MachineProfile(pools=("fast",), services=("paint",), vram_mb=24_000)
_NUMBERS = itertools.count(1)


class Workplace:
    """Short words for what tests do in a cell on the virtual clock."""

    def __init__(self, client: ValkeyClient, name: str | None = None) -> None:
        self.cell = Cell(client, name or f"h{os.getpid()}-{next(_NUMBERS)}")
        self._profile = ""
        self._nonces = itertools.count(1)

    @property
    def name(self) -> str:
        return self.cell.name

    def nonce(self) -> str:
        return f"n{next(self._nonces)}"

    async def open(self, limits: CellLimits | None = None, *, now_ms: int = NOON_MS) -> None:
        await self.cell.open(limits or CellLimits(), clock="virtual")
        self.cell.now_ms = now_ms
        await self.cell.declare(["pool:standard", "pool:fast", "service:paint"], by="test")
        await self.register("m")

    async def register(self, machine: str, *, session: str = "s", said: MachineDescription | None = None) -> None:
        """A machine comes, or comes back."""
        registered = await self.cell.register_machine(
            machine=machine,
            session=session,
            profile=PROFILE.canonical(),
            fits=[],
            slots=256,
            vram_mb=24_000,
            holder="holder",
            description="{}" if said is None else msgspec.json.encode(said).decode(),
            words=[],
            nonce=self.nonce(),
            **({} if said is None else {"facts": facts_text(said, vram_mb=24_000, pools=PROFILE.pools)}),
        )
        self._profile = registered.profile

    async def may_take(self, machine: str, job_id: str) -> None:
        """What policy would write for a machine that came anew: it may take the lane of this job."""
        found = await self.look(job_id)
        assert found is not None
        await self.cell.set_candidates([(machine, [Candidate(found.record.lane, 0)])], nonce=self.nonce())

    async def lose(self, machine: str, *, lost: bool = True) -> None:
        """A machine goes: killed, or in order."""
        await self.cell.remove_machine(machine, because="gone", lost=lost, nonce=self.nonce())

    def later(self, by_ms: int) -> None:
        assert self.cell.now_ms is not None
        self.cell.now_ms += by_ms

    async def submit(self, *job_ids: str, machine: str = "m", decision: str = "", **fields: Any) -> None:
        request = JobRequest(service="paint", pool="fast", **{"payload": {"prompt": "a lake"}} | fields)
        lane = msgspec.structs.replace(
            wanted_lane(request.lane(), None, PatienceRule()),
            fits=((self._profile, True),),
            placements=(Placement(machine, 0),),
        )
        jobs = [wanted_job(request, job_id=job_id, lane=1, weight=1.0, decision=decision) for job_id in job_ids]
        await self.cell.submit(jobs=jobs, lanes=[lane], nonce=self.nonce())

    async def claim(self, credits_: int = 100, *, machine: str = "m") -> list[ClaimedJob]:
        reply = await self.cell.claim(machine=machine, session="s", credits_=credits_, nonce=self.nonce(), park=False)
        return reply.jobs

    async def complete(
        self, jobs: Sequence[ClaimedJob], result: str = "{}", *, report: RunReport | None = None, machine: str = "m"
    ) -> None:
        took = "" if report is None else to_wire(report)
        done = [Done(job.id, job.token, result, took) for job in jobs]
        assert {o.word for o in await self.cell.complete(machine=machine, session="s", done=done)} <= {"ok"}

    async def fail(self, job: ClaimedJob, **changes: Any) -> None:
        failure = Failure(job.id, job.token, "BOOM", "it broke", retryable=False, jitter=0.0)
        failure = msgspec.structs.replace(failure, **changes)
        await self.cell.fail(machine="m", session="s", failures=[failure])

    async def run(self, *job_ids: str, **fields: Any) -> None:
        """Submit, claim and complete."""
        await self.submit(*job_ids, **fields)
        await self.complete(await self.claim(len(job_ids)))

    async def waiting_events(self) -> int:
        """Events that the stream holds."""
        return int(await self.cell.client.execute_command("XLEN", self.cell.keys["events"]))

    async def latest_event(self) -> int:
        return (await self.cell.statistics()).counts["event"]

    async def committed_event(self) -> int:
        return (await self.cell.statistics()).counts["committed_event"]

    async def tick(self) -> None:
        await self.cell.tick(nonce=self.nonce())

    async def look(self, job_id: str) -> InspectedJob | None:
        found = (await self.cell.inspect([job_id])).jobs
        return found[0] if found else None

    # Faults -----------------------------------------------------------------------------------------------------------

    async def copy(self) -> dict[str, bytes]:
        """The cell as it is now, as a replica would have it."""
        client, keys = self.cell.client, self.cell.keys
        dumps = {name: await client.execute_command("DUMP", keys[name]) for name in KEY_KINDS}
        return {name: dump for name, dump in dumps.items() if dump is not None}

    async def promote(self, copy: dict[str, bytes], server: str) -> None:
        """A replica with this copy becomes the primary: what came after the copy is lost, and the epoch rises."""
        await self.restore(copy)
        await self.change_server(server)

    async def restore(self, copy: dict[str, bytes]) -> None:
        """The cell is as it was when it was copied, and nobody has noticed."""
        await self.erase()
        for name, dump in copy.items():
            await self.cell.client.execute_command("RESTORE", self.cell.keys[name], 0, dump)

    async def erase(self) -> None:
        """The cell is gone, as if it had never been."""
        for key in self.cell.keys.of(tuple(KEY_KINDS)):
            await self.cell.client.execute_command("DEL", key)

    async def change_server(self, server: str) -> None:
        request = {"clock": "virtual", "server": server, "limits": CellLimits(), "configure": False}
        await self.cell.call("open_cell", request, OpenReply)
