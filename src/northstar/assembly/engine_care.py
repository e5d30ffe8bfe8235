"""What keeps the picture of a machine's engines true: which of them work, what they are, what they hold in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from northstar.agent.memory_watch import MemoryWatch
from northstar.agent.model_keeper import ModelKeeper
from northstar.agent.readiness import EngineHealth
from northstar.agent.worker import Worker
from northstar.assembly.announcement import Announcer
from northstar.domain.models import ModelNeed

#: An engine that works, but did not say what it is, is asked again so often.
_ASK_AGAIN_S: Final = 60.0


class EngineCare:
    """Watches the engines of one machine for as long as it lives."""

    def __init__(self, announcer: Announcer, keeper: ModelKeeper, health: EngineHealth, *, ask_every_s: float) -> None:
        """`ask_every_s` is how often engines that tell are asked what they hold."""
        self._announcer = announcer
        self._keeper = keeper
        self._health = health
        self._memory = MemoryWatch(announcer.models_now, keeper.hear, every_s=ask_every_s)

    def used(self, service: str, needs: Sequence[ModelNeed]) -> None:
        """A job of this service has ended well; these are its models."""
        if service not in self._announcer.telling:
            self._keeper.used(service, needs)
        self._memory.job_ended()

    async def run(self, worker: Worker) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._memory.run(), name="engine-memory")
            await offer_what_is_ready(self._health, worker, self._announcer, came_back=self._keeper.restarted)


async def offer_what_is_ready(
    health: EngineHealth,
    worker: Worker,
    announcer: Announcer,
    *,
    came_back: Callable[[Sequence[str]], None] | None = None,
    ask_again_s: float = _ASK_AGAIN_S,
) -> None:
    """Probe engines that failed, and offer only those that answer, for as long as the machine lives.

    An engine that returns may be another version, with other nodes: it is asked what it is before it is offered. One that
    works but did not say is asked again from time to time. `came_back` hears of the services whose engines had been away.
    """
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(health.run(), name="engine-probes")
        known = health.offered
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ask_again_s if announcer.silent else None):
                    await health.changed.wait()
            health.changed.clear()
            now = health.offered
            if len(stayed := [service for service in now if service in known]) < len(known):
                worker.offer(stayed, trouble=trouble_of(health))
            if asked := [service for service in now if service not in known or service in announcer.silent]:
                if came_back is not None:
                    came_back([service for service in asked if service not in known])
                said = await announcer.announcement_after(asked)
                worker.announce(said.profile, said.description, models=said.models, node_set=said.node_set)
            # What went away meanwhile is not offered; what came back meanwhile is asked in the next round.
            ready = tuple(service for service in health.offered if service in now)
            if ready != known:
                known = ready
                worker.offer(known, trouble=trouble_of(health))


def trouble_of(health: EngineHealth) -> str:
    """Which engines take no work now, and why, as an operator reads it with the machine."""
    said = (f"{one.service} takes no work now: {one.reason[:300]}" for one in health.standings if one.reason)
    return "; ".join(said)
