"""What the writer of a history remembers of machines: those that are there, and no name of those that came and went."""

from __future__ import annotations

from northstar.domain.events import EventId
from northstar.domain.machines import MachineDescription
from northstar.store.events import read_events
from northstar.store.history.machine_memory import MachineMemory, gone_by
from tests.store.history.workplace import Workplace

L4 = MachineDescription(gpu="NVIDIA L4", price_usd_per_hour=0.4)


async def test_machines_that_came_and_went_leave_nothing_behind(workplace: Workplace) -> None:
    """Spot machines bring a new name each: an hour of them must not stay in the process."""
    memory, after = MachineMemory(workplace.cell), EventId(0, 0)
    for number in range(50):
        await workplace.register(f"spot-{number}", said=L4)
        events = await read_events(workplace.cell.client, workplace.cell.keys, after=after)
        await memory.look(events)
        await workplace.lose(f"spot-{number}", lost=bool(number % 2))
        gone = await read_events(workplace.cell.client, workplace.cell.keys, after=events[-1].id)
        sightings = await memory.look(gone)
        facts = sightings[f"spot-{number}"].facts
        assert facts is not None
        assert facts.gpu_class == "l4"
        after = gone[-1].id
    assert memory.remembered <= 1  # the workplace's own


async def test_one_that_came_back_within_the_same_events_is_remembered(workplace: Workplace) -> None:
    await workplace.register("spot", said=L4)
    await workplace.lose("spot")
    await workplace.register("spot", said=L4)
    events = await read_events(workplace.cell.client, workplace.cell.keys, after=EventId(0, 0))
    assert gone_by(events) == []
    memory = MachineMemory(workplace.cell)
    await memory.look(events)
    assert memory.remembered == 2
