"""Events of a simulation are heard once and in order, and the cell forgets them by and by."""

from __future__ import annotations

from northstar.agent.direct_link import DirectLink
from northstar.domain.events import Event
from northstar.simulation.history import EventsRead
from northstar.simulation.settings import SimulationSettings
from northstar.simulation.simulate import world_of_its_own
from northstar.simulation.world import World
from tests.simulation.rig import machine


async def test_what_was_read_is_heard_once_and_forgotten_when_it_is_trimmed() -> None:
    heard: list[Event] = []
    async with world_of_its_own(SimulationSettings(), seed=0) as world:
        events = EventsRead(world, heard.append)
        for name in ("a", "b"):
            await come(world, name)
            assert await events.read() > 0
            assert await events.read() == 0
        assert [event.subject for event in heard if event.kind == "machine.registered"] == ["a", "b"]
        assert kept(world) == len(heard)
        await events.trim()
        assert kept(world) == 0


async def come(world: World, name: str) -> None:
    """A machine registers, which is an event."""
    one = machine(name)
    link = DirectLink(world.cell, machine=name, session=f"{name}.1", new_nonce=world.new_id)
    await link.register(one.profile(), one.description(), slots=1, models=())


def kept(world: World) -> int:
    """How many events the cell has."""
    (count,) = world.line.ask([("XLEN", world.cell.keys["events"])])
    return int(count)
