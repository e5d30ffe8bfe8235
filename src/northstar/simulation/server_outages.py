"""When the server of the queue goes away, and what happens first when it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.simulation.inputs import ServerRestart

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.simulation.broker import BrokerOnClock
    from northstar.simulation.inputs import AnyFault
    from northstar.simulation.stations import Stations
    from northstar.simulation.world import World


class ServerOutages:
    """Of one run. One that would begin while the server is away already is none."""

    def __init__(self, world: World, faults: Sequence[AnyFault], *, broker: BrokerOnClock, stations: Stations) -> None:
        self._world = world
        self._restarts = [fault for fault in faults if isinstance(fault, ServerRestart)]
        self._broker = broker
        self._stations = stations

    def expect(self, *, settle: Callable[[], Awaitable[None]]) -> None:
        """Put them on the agenda; `settle` takes in what the server has said before it goes."""
        for restart in self._restarts:
            self._expect(restart, settle)

    def _expect(self, restart: ServerRestart, settle: Callable[[], Awaitable[None]]) -> None:
        world = self._world

        async def goes() -> None:
            if world.is_server_away:
                return
            await settle()
            world.is_server_away = True
            world.line.close()
            await world.server.stop()
            world.soon(comes, in_ms=restart.for_ms)

        async def comes() -> None:
            await self.end()
            await self._broker.was_away(restart.for_ms)
            for happens in world.awaited():
                await happens()
            await self._stations.server_is_back()

        world.agenda.at(restart.at_ms, goes)

    async def end(self) -> None:
        """The server is there again, if it was away."""
        if self._world.is_server_away:
            await self._world.server.start()
            self._world.line.dial(self._world.server.socket)
            self._world.is_server_away = False
