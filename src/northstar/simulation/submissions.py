"""Jobs on their way from their clients to the broker, which takes them or does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.errors import NorthstarError
from northstar.simulation.callers import Callers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.broker.submission import Accepted
    from northstar.domain.jobs import JobRequest
    from northstar.simulation.broker import BrokerOnClock
    from northstar.simulation.inputs import SimulatedJob
    from northstar.simulation.ledger import Ledger
    from northstar.simulation.watching import Lookout
    from northstar.simulation.world import World

#: A finished job is forgotten as soon as its events were read; nobody asks for it again.
_RETENTION_S: Final = 1.0
#: Before a job's number in its id.
_JOB: Final = "j"


class Submissions:
    """Of one run."""

    def __init__(self, world: World, broker: BrokerOnClock, ledger: Ledger, lookout: Lookout) -> None:
        self._world = world
        self._broker = broker
        self._ledger = ledger
        self._lookout = lookout
        self._callers = Callers(world, submit=self._call, refused=ledger.refused)

    async def submit(self, jobs: Sequence[SimulatedJob]) -> None:
        """They come at this moment, each from a client of its own."""
        requests = []
        for job in jobs:
            job_id = f"{_JOB}{self._ledger.submitted + 1}"
            self._ledger.submits(job_id, job)
            requests.append(msgspec.structs.replace(job.request, id=job_id, retention_s=_RETENTION_S))
        await self._call(requests)

    async def _call(self, requests: Sequence[JobRequest]) -> None:
        if self._world.is_server_away:
            for request in requests:
                self._callers.wait(request)
            return
        try:
            accepted = await self._broker.submit(requests)
        except NorthstarError as exc:
            await self._one_by_one(requests, exc)
            return
        for one in accepted:
            self._take_in(one)

    async def _one_by_one(self, requests: Sequence[JobRequest], error: NorthstarError) -> None:
        """One of them was refused, and all with it: each has a call of its own, as clients of their own would have made it."""
        if len(requests) == 1:
            self._ledger.refused(requests[0].id or "", error.code)
            return
        for request in requests:
            try:
                (one,) = await self._broker.submit([request])
            except NorthstarError as exc:
                self._ledger.refused(request.id or "", exc.code)
            else:
                self._take_in(one)

    def _take_in(self, accepted: Accepted) -> None:
        job_id = accepted.job.id
        self._ledger.accepted(job_id, accepted.decision)
        self._lookout.admits(int(job_id.removeprefix(_JOB)), accepted.decision)
