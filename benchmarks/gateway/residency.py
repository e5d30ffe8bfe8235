"""What a machine of the benchmark holds and fetches, and what it tells of it: as an agent does, only what has changed.

Every machine holds 12 of 40 models, two of them in the memory of its engine; popular ones lie on more machines. All machines describe their
host in full. One machine in ten fetches at any time, and a quarter of the fleet changes something every few seconds: another model
comes into memory, or a fetch begins, ends and puts another model away, or the line is measured anew. The others change once a
minute or so.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final

from northstar.agent.model_link import ModelLink
from northstar.domain.machines import EngineDescription, Gpu, MachineDescription
from northstar.domain.models import ModelHeld
from northstar.domain.refusals import AlreadyFetching, NotFetching

MODELS: Final = tuple(f"model-{number:02}.safetensors" for number in range(40))
HELD: Final = 12
IN_MEMORY: Final = 2
#: Machines that change often, and how far apart two changes of theirs are on the average; and of the others.
BUSY_SHARE: Final = 0.25
BUSY_EVERY_S: Final = 4.0
QUIET_EVERY_S: Final = 60.0
#: Machines that fetch when they come.
FETCHING_SHARE: Final = 0.1
FETCH_S: Final = 10.0
_GIB: Final = 1024**3

#: Repeats a call until the broker has answered it.
Patiently = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


class Residency:
    """One machine's models. `told` counts what was said of them since the machine came."""

    def __init__(self, number: int, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._rng = random.Random(number)
        weights = [1 / (rank + 3) for rank in range(len(MODELS))]
        # The first of each are drawn by how popular they are (Efraimidis and Spirakis, 2006).
        drawn = sorted(range(len(MODELS)), key=lambda rank: -(self._rng.random() ** (1 / weights[rank])))
        self._held = [MODELS[rank] for rank in drawn[:HELD]]
        self._in_memory = self._held[:IN_MEMORY]
        self._line_bytes_per_s = self._rng.choice((6.0e6, 25.0e6, 60.0e6, 120.0e6))
        self._every_s = BUSY_EVERY_S if self._rng.random() < BUSY_SHARE else QUIET_EVERY_S
        self._fetches_at_once = self._rng.random() < FETCHING_SHARE
        self.told = 0

    def models(self) -> tuple[ModelHeld, ...]:
        """What it holds now, in the order of the names."""
        return tuple(
            ModelHeld(name, "resident" if name in self._in_memory else "disk", size_of(name))
            for name in sorted(self._held)
        )

    def description(self) -> MachineDescription:
        """What it says of itself now."""
        return MachineDescription(
            download_bytes_per_s=self._line_bytes_per_s,
            region="eu-north",
            price_usd_per_hour=0.25,
            gpu="NVIDIA GeForce RTX 4090",
            gpus=(Gpu(index=0, name="NVIDIA GeForce RTX 4090", vram_mb=24_564),),
            driver="560.35.03",
            engines=(EngineDescription(service="count", kind="comfyui", version="0.3.50"),),
            disk_bytes=200 * _GIB,
        )

    async def change_for_ever(self, link: ModelLink, patiently: Patiently) -> None:
        """Change, and tell it, until cancelled."""
        if self._fetches_at_once:
            await self._fetch(link, patiently)
        while True:
            await self._sleep(self._rng.expovariate(1 / self._every_s))
            await self._rng.choice((self._use_another, self._use_another, self._fetch, self._measure_line))(
                link, patiently
            )

    async def _use_another(self, link: ModelLink, patiently: Patiently) -> None:
        """A model from the disk comes into memory in place of the one that is there longest."""
        on_disk = [name for name in self._held if name not in self._in_memory]
        self._in_memory = [*self._in_memory[1:], self._rng.choice(on_disk)]
        await self._tell(patiently, lambda: link.models_present(self.models()))

    async def _fetch(self, link: ModelLink, patiently: Patiently) -> None:
        """A model comes, and the one that is longest on the disk goes."""
        model = self._rng.choice([name for name in MODELS if name not in self._held])
        evicted = next(name for name in self._held if name not in self._in_memory)
        await self._tell(
            patiently, lambda: link.fetch_started(model, size_bytes=size_of(model), expected_ms=round(FETCH_S * 1000))
        )
        await self._sleep(self._rng.uniform(0.5, 1.5) * FETCH_S)
        self._held = [*(name for name in self._held if name != evicted), model]
        await self._tell(patiently, lambda: link.fetch_ended(model, outcome="fetched"))
        await self._tell(patiently, lambda: link.models_present(self.models()))

    async def _measure_line(self, link: ModelLink, patiently: Patiently) -> None:
        self._line_bytes_per_s *= self._rng.uniform(0.9, 1.1)
        await self._tell(patiently, lambda: link.describe(self.description()))

    async def _tell(self, patiently: Patiently, say: Callable[[], Awaitable[None]]) -> None:
        async def said() -> None:
            # Its answer may have been lost, and it was said again.
            with contextlib.suppress(AlreadyFetching, NotFetching):
                await say()

        await patiently(said)
        self.told += 1


def size_of(model: str) -> int:
    """Bytes of a model: 2 to 24 GiB, always the same."""
    return round((2 + 22 * random.Random(model).random() ** 2) * _GIB)


def words() -> list[str]:
    """What an operator has declared: the models of the catalogue."""
    return [f"model:{name}" for name in MODELS]
