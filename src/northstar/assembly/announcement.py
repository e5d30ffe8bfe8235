"""What one machine says of itself: asked of its settings, its GPUs and its engines, and asked again when an engine returns."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import msgspec

from northstar.agent.hardware import HardwareUnknown, find_gpus, used_memory_mb
from northstar.config import MachineSettings
from northstar.connectors.contract import Connector, Describing
from northstar.domain.engine_facts import EngineFacts
from northstar.domain.errors import NorthstarError
from northstar.domain.models import ModelHeld
from northstar.policy.fleet.announcement import Announcement, Declared, announce
from northstar.policy.fleet.gpus import FoundGpus
from northstar.telemetry import logger

log = logger(__name__)

#: An engine that is ready answers questions about itself at once; a large ComfyUI takes a second or two.
_WITHIN_S: Final = 30.0
#: What is asked all the time is not waited for so long.
_MEMORY_WITHIN_S: Final = 5.0
_ATTEMPTS: Final = 3
_PAUSE_S: Final = 0.5


class Announcer:
    """Knows what has been found out about a machine. Nothing that it cannot find out keeps the machine from work."""

    def __init__(
        self,
        machine: MachineSettings,
        connectors: Mapping[str, Connector],
        *,
        environment: Mapping[str, str],
        files_are_kept: bool = False,
        disk_bytes: int = 0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`files_are_kept`: a store looks after the models folder, so an engine's list of files is not announced beside it.

        `disk_bytes` is what models may have there.
        """
        self._machine = machine
        self._connectors = connectors
        self._environment = environment
        self._files_are_kept = files_are_kept
        self._disk_bytes = disk_bytes
        self._sleep = sleep
        self._found: FoundGpus | None = None
        self._trouble = ""
        self._facts: dict[str, EngineFacts] = {}

    @property
    def silent(self) -> frozenset[str]:
        """Services whose engines were asked what they are, could have said, and did not."""
        return frozenset(
            service
            for service, facts in self._facts.items()
            if not facts.kind and isinstance(self._connectors[service], Describing)
        )

    @property
    def telling(self) -> frozenset[str]:
        """Services whose engines tell what is in their memory."""
        return frozenset(service for service, facts in self._facts.items() if facts.tells_residency)

    async def announcement(self, ready: Iterable[str] | None = None) -> Announcement:
        """Look at the GPUs, ask every engine, or those that are `ready`, and put it together."""
        await self._find_gpus()
        self._facts = {service: EngineFacts(kind="") for service in self._connectors}
        return await self.announcement_after(self._connectors if ready is None else ready)

    async def announcement_after(self, services: Iterable[str]) -> Announcement:
        """The same after the engines of these services have come, or come back: they are asked anew, the others are remembered.

        An engine that gives no answer is announced by its name alone; what it said before it went away counts no more.
        """
        asked = list(services)
        told = await asyncio.gather(*(self._facts_of(service) for service in asked))
        self._facts |= dict(zip(asked, told, strict=True))
        said = self._put_together()
        _tell(said)
        return said

    async def models_now(self) -> tuple[ModelHeld, ...] | None:
        """What all engines hold, after those were asked that tell what is in their memory; None if none does.

        One that gives no answer in time is believed as before: whether it works is for others to find out.
        """
        asked = sorted(self.telling)
        if not asked:
            return None
        told = await asyncio.gather(*(self._memory_of(service) for service in asked))
        for service, facts in zip(asked, told, strict=True):
            # It may have gone and come back meanwhile, and said more; then the next time will do.
            if facts is not None and service in self.telling:
                self._facts[service] = facts
        return self._put_together().models

    def asking_memory(self) -> Callable[[], Awaitable[int | None]] | None:
        """What asks how much memory of the machine's GPU is in use, MB; None unless its driver tells of exactly one that it may use."""
        gpus = self._found.gpus if self._found is not None else ()
        if len(gpus) != 1 or not gpus[0].vram_mb:
            return None
        return functools.partial(used_memory_mb, self._environment, gpus[0])

    def _put_together(self) -> Announcement:
        return announce(
            msgspec.structs.replace(declared(self._machine), disk_bytes=self._disk_bytes),
            self._found or FoundGpus(),
            self._facts,
            files_are_kept=self._files_are_kept,
            troubles=filter(None, [self._trouble]),
        )

    async def _find_gpus(self) -> None:
        if self._machine.gpus == 0:
            return  # the settings say that it uses none
        try:
            self._found = await find_gpus(self._environment)
        except HardwareUnknown as exc:
            # Without them it announces no memory, so nothing that needs a GPU lands here, and what needs none still may.
            log.warning("hardware_unknown", code=exc.code, error=str(exc))
            self._trouble = f"{exc.code}: {exc}"

    async def _memory_of(self, service: str) -> EngineFacts | None:
        connector = self._connectors[service]
        if not isinstance(connector, Describing):
            return None
        try:
            async with asyncio.timeout(_MEMORY_WITHIN_S):
                return await connector.describe()
        except (NorthstarError, TimeoutError) as exc:
            log.debug("engine_memory_not_told", service=service, error=str(exc))
        except Exception:
            log.exception("describe_raised", service=service)  # a fault of ours costs the news, not the machine
        return None

    async def _facts_of(self, service: str) -> EngineFacts:
        connector = self._connectors[service]
        if not isinstance(connector, Describing):
            return EngineFacts(kind="")
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with asyncio.timeout(_WITHIN_S):
                    return await connector.describe()
            except (NorthstarError, TimeoutError) as exc:
                code = exc.code if isinstance(exc, NorthstarError) else "timeout"
                log.warning("engine_not_described", service=service, attempt=attempt, code=code, error=str(exc))
            except Exception:
                log.exception("describe_raised", service=service)  # a fault of ours costs the facts, not the machine
                break
            if attempt < _ATTEMPTS:
                await self._sleep(_PAUSE_S)
        return EngineFacts(kind="")


async def announcement(
    machine: MachineSettings, connectors: Mapping[str, Connector], *, environment: Mapping[str, str]
) -> Announcement:
    """What a machine announces whose engines are ready."""
    return await Announcer(machine, connectors, environment=environment).announcement()


def declared(machine: MachineSettings) -> Declared:
    """What the settings say of a machine."""
    return Declared(
        profile=machine.profile(),
        region=machine.region,
        price_usd_per_hour=machine.price_usd_per_hour,
        gpu=machine.gpu,
        gpus=machine.gpus,
        slots=machine.slots,
        slots_per_gpu=machine.slots_per_gpu,
    )


def _tell(said: Announcement) -> None:
    profile, description = said.profile, said.description
    log.info(
        "machine_announced",
        slots=said.slots,
        gpus=len(description.gpus),
        vram_mb=profile.vram_mb,
        engines={engine.service: f"{engine.kind} {engine.version}".strip() for engine in description.engines},
        node_packs=len(profile.node_packs),
        models=len(said.models),
    )
    if description.trouble:
        log.warning("announced_with_trouble", trouble=description.trouble)
