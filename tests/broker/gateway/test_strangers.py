"""Who has not been let in yet takes nobody's place, and cannot be there without a bound."""

from __future__ import annotations

import asyncio

import msgspec

from northstar.assembly.front import admission_to
from northstar.broker.gateway.socket import SocketClosed
from northstar.domain.admission import Admitted
from northstar.domain.machines import MachineDescription
from northstar.domain.refusals import TokenUnknown
from tests.agent.rig import PROFILE
from tests.broker.gateway.rig import Fleet


class Lingering:
    """An admission that makes up its mind when it is told to, and then lets nobody in."""

    def __init__(self) -> None:
        self.decide = asyncio.Event()
        self._asked = asyncio.Semaphore(0)

    async def authenticate(self, _token: str) -> Admitted:
        self._asked.release()
        await self.decide.wait()
        raise TokenUnknown

    async def is_asked(self, times: int) -> None:
        """Wait until it has been asked so often."""
        async with asyncio.timeout(30):
            for _ in range(times):
                await self._asked.acquire()


class Stranger:
    """A socket; what it is told is kept."""

    def __init__(self) -> None:
        self.told = b""

    async def send(self, frame: bytes) -> None:
        self.told += frame

    async def receive(self) -> bytes:
        raise SocketClosed

    async def close(self) -> None:
        pass


async def test_strangers_take_no_machines_place(fleet: Fleet) -> None:
    async with fleet.front(max_machines=1) as front, asyncio.TaskGroup() as tasks:
        lingering, strangers = Lingering(), [Stranger() for _ in range(8)]
        for stranger in strangers:
            tasks.create_task(front.gateway.serve_machine(stranger, "nobody's", lingering))
        await lingering.is_asked(8)
        async with fleet.dialling(front.url) as link:
            await link.register(PROFILE, MachineDescription(), slots=1, models=())
            assert front.gateway.machines == ("m",)
        lingering.decide.set()
    assert all(b"NS_TOKEN_UNKNOWN" in stranger.told for stranger in strangers)


async def test_a_machine_for_which_there_is_no_place_is_told_so(fleet: Fleet) -> None:
    async with fleet.front(max_machines=1) as front, fleet.dialling(front.url, "first") as link:
        await link.register(PROFILE, MachineDescription(), slots=1, models=())
        newcomer = Stranger()
        await front.gateway.serve_machine(newcomer, await fleet.token("second"), admission_to(fleet.cell))
        assert b"NS_GATEWAY_FULL" in newcomer.told
        assert front.gateway.machines == ("first",)


async def test_strangers_have_a_bound_of_their_own(fleet: Fleet) -> None:
    async with fleet.front() as front, asyncio.TaskGroup() as tasks:
        front.gateway._options = msgspec.structs.replace(front.gateway._options, max_strangers=2)
        lingering = Lingering()
        for _ in range(2):
            tasks.create_task(front.gateway.serve_machine(Stranger(), "nobody's", lingering))
        await lingering.is_asked(2)
        third = Stranger()
        await front.gateway.serve_machine(third, "nobody's", lingering)
        assert b"NS_GATEWAY_CROWDED" in third.told
        lingering.decide.set()
