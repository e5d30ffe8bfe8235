"""What the machines of the gateway's benchmark hold and tell."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from benchmarks.gateway.residency import HELD, IN_MEMORY, MODELS, Residency
from northstar.agent.model_link import ModelLink
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld
from northstar.domain.refusals import AlreadyFetching
from tests.virtual_time import VirtualTime


class Heard:
    """What a broker would hear of one machine."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    async def describe(self, description: MachineDescription) -> None:
        self.said.append(("describe", description.download_bytes_per_s))

    async def models_present(self, models: Sequence[ModelHeld]) -> None:
        self.said.append(("models_present", tuple(models)))

    async def fetch_started(self, model: str, *, size_bytes: int, expected_ms: int) -> None:
        self.said.append(("fetch_started", model))
        raise AlreadyFetching({"model": model})  # as after an answer that was lost

    async def fetch_ended(self, model: str, *, outcome: str) -> None:
        self.said.append(("fetch_ended", model))


async def _at_once(call: Callable[[], Awaitable[None]]) -> None:
    await call()


async def told_in(seconds: float, number: int) -> tuple[Residency, list[tuple[str, Any]]]:
    time, heard = VirtualTime(), Heard()
    machine = Residency(number, sleep=time.sleep)
    changing = asyncio.create_task(machine.change_for_ever(cast("ModelLink", heard), _at_once))
    await time.advance(seconds)
    changing.cancel()
    await asyncio.wait({changing})
    return machine, heard.said


async def test_every_machine_holds_twelve_models_of_forty_and_popular_ones_lie_on_more() -> None:
    machines = [Residency(number) for number in range(300)]
    for machine in machines:
        assert len(machine.models()) == HELD
        assert sum(model.state == "resident" for model in machine.models()) == IN_MEMORY
    counted = Counter(model.name for machine in machines for model in machine.models())
    assert set(counted) <= set(MODELS)
    assert counted[MODELS[0]] > 2 * counted[MODELS[-1]] > 0
    assert Residency(7).models() == Residency(7).models()


async def test_a_part_of_the_fleet_tells_something_every_few_seconds_and_all_tell_all_kinds_of_news() -> None:
    found = [await told_in(120.0, number) for number in range(40)]
    told = sorted(len(said) for _, said in found)
    assert told[19] < 12
    assert told[-5] > 12
    assert {what for _, said in found for what, _ in said} == {
        "describe",
        "models_present",
        "fetch_started",
        "fetch_ended",
    }
    assert [machine.told for machine, _ in found] == [len(said) for _, said in found]


async def test_what_was_fetched_is_held_and_the_disk_stays_full() -> None:
    for number in range(40):
        machine, said = await told_in(300.0, number)
        for (what, model), (then, held) in itertools.pairwise(said):
            if what == "fetch_ended":
                assert then == "models_present"
                assert model in {one.name for one in held}
        assert len(machine.models()) == HELD
