"""One machine as a process: its engines and connectors, proven ready, then the worker on its link."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import structlog

from northstar.agent.engine import ConnectorRunner
from northstar.agent.readiness import EngineHealth
from northstar.agent.worker import Worker, WorkerSettings
from northstar.assembly.connectors import Engine, EngineUnknown, StartEngine, connector_of
from northstar.assembly.ways import Way, straight, through_broker
from northstar.config import MachineSettings, OpenAIService, Settings
from northstar.connectors.contract import Connector
from northstar.connectors.errors import EngineMisconfigured
from northstar.connectors.secret import Secret
from northstar.domain.errors import InvalidRequest, NorthstarError, Unavailable
from northstar.domain.machines import MachineDescription
from northstar.policy.fleet.breaker import HealthRule
from northstar.store.embedded.lock import DataDirectoryLock

log = structlog.get_logger(__name__)

_RETRY_S = 0.5


class NoSuchMachineSettings(InvalidRequest):
    """No machine of this name is set up here."""

    code: ClassVar[str] = "NS_NO_SUCH_MACHINE_SETTINGS"

    def __init__(self, name: str, *, known: tuple[str, ...]) -> None:
        super().__init__(
            f"no machine {name!r} is set up (known: {', '.join(known) or 'none'}); add [[machines]] to the settings"
        )
        self.name = name


class EngineEnded(Unavailable):
    """An engine that this machine started has ended, so the machine takes no more work."""

    code: ClassVar[str] = "NS_ENGINE_ENDED"

    def __init__(self, service: str, *, exit_code: int) -> None:
        super().__init__(f"the engine of service {service!r} ended with code {exit_code}; the machine stops")
        self.service = service


class MachineProcess(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine runs on."""

    connectors: dict[str, Connector]
    engines: dict[str, Engine]
    workspaces: Path


async def run_worker(
    settings: Settings,
    name: str,
    *,
    engines: Mapping[str, StartEngine],
    environment: Mapping[str, str],
    stop: asyncio.Event,
    token: Secret | None = None,
) -> None:
    """Be the machine `name` until `stop` is set; then finish or hand back what runs.

    It dials the broker that the settings name, with `token` or the one that is set up; without a broker it speaks to Valkey itself.

    Raises:
        NoSuchMachineSettings, InvalidSettings, NotRunning: it is not set up.
        DataDirectoryInUse: it runs already on this data directory.
        EngineError: an engine did not pass its warm-up in time. EngineEnded: it died later.
        MachineReplaced: another process has taken the name.
    """
    machine = settings.machine(name)
    if machine is None:
        raise NoSuchMachineSettings(name, known=tuple(known.name for known in settings.machines))
    async with _equipment(settings, machine, engines=engines, environment=environment) as equipment:
        ready = asyncio.create_task(_until_ready(equipment.connectors, within_s=settings.agent.ready_within_s))
        if not await _unless_stopped(ready, stop):
            return
        log.info("engines_ready", services=list(equipment.connectors))
        way = through_broker(settings, name, token=token) if settings.agent.broker else straight(settings, name)
        async with AsyncExitStack() as stack:
            entering = asyncio.create_task(stack.enter_async_context(way))
            if await _unless_stopped(entering, stop):
                await _work(entering.result(), settings, machine, equipment=equipment, stop=stop)


@asynccontextmanager
async def _equipment(
    settings: Settings, machine: MachineSettings, *, engines: Mapping[str, StartEngine], environment: Mapping[str, str]
) -> AsyncIterator[MachineProcess]:
    """The machine's folder under its lock, its engines started, its connectors made."""
    folder = settings.data_path / "machines" / machine.name
    workspaces = folder / "workspaces"
    async with AsyncExitStack() as stack:
        lock = DataDirectoryLock(folder)
        await lock.acquire()
        stack.callback(lock.close)
        # What a killed predecessor left; the lock says that nobody uses it.
        await asyncio.to_thread(shutil.rmtree, workspaces, ignore_errors=True)
        workspaces.mkdir(mode=0o700)
        started: dict[str, Engine] = {}
        connectors: dict[str, Connector] = {}
        for name in machine.services:
            service = settings.services[name]
            if isinstance(service, OpenAIService) and service.engine:
                if service.engine not in engines:
                    raise EngineUnknown(service.engine, known=tuple(engines))
                started[name] = await stack.enter_async_context(engines[service.engine](folder))
            address = started[name].url if name in started else None
            connectors[name] = connector_of(
                name, service, address=address, environment=environment, machine=machine.name
            )
            stack.push_async_callback(connectors[name].close)
        yield MachineProcess(connectors=connectors, engines=started, workspaces=workspaces)


async def _until_ready(connectors: Mapping[str, Connector], *, within_s: float) -> None:
    """Every engine has answered its warm-up job; one that is only loading is asked again until the time is over."""
    deadline = asyncio.get_running_loop().time() + within_s
    for name, connector in connectors.items():
        while True:
            try:
                await connector.ready()
            except NorthstarError as exc:
                hopeless = not exc.retryable or isinstance(exc, EngineMisconfigured)
                if hopeless or asyncio.get_running_loop().time() >= deadline:
                    raise
                log.info("engine_not_ready", service=name, code=exc.code, error=str(exc))
                await asyncio.sleep(_RETRY_S)
            else:
                break


async def _unless_stopped(task: asyncio.Task[Any], stop: asyncio.Event) -> bool:
    """Wait for the task; False if the order to stop came first."""
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
            return True
        return False
    finally:
        stopped.cancel()
        task.cancel()
        await asyncio.wait({task, stopped})


async def _work(
    way: Way, settings: Settings, machine: MachineSettings, *, equipment: MachineProcess, stop: asyncio.Event
) -> None:
    health = EngineHealth(
        equipment.connectors,
        rule=HealthRule(),
        clock=time.monotonic,
        sleep=asyncio.sleep,
        jitter=random.random,
        probe_within_s=settings.agent.ready_within_s,
    )
    health.proven()
    worker = Worker(
        way.link,
        ConnectorRunner(health.connectors, outputs=way.outputs, workspaces=equipment.workspaces),
        profile=machine.profile(),
        description=MachineDescription(region=machine.region, gpu=machine.gpu),
        settings=WorkerSettings(
            slots=machine.slots,
            renew_every_s=settings.agent.renew_every_s,
            reclaim_every_s=way.reclaim_every_s,
            drain_s=settings.agent.drain_s,
            batch=way.batch,
        ),
        jitter=random.random,
    )
    working = asyncio.create_task(worker.run(), name="worker")
    watching = asyncio.create_task(_offer_what_is_ready(health, worker), name="engine-health")
    ends = {
        asyncio.create_task(engine.wait(), name=f"engine-{name}"): name for name, engine in equipment.engines.items()
    }
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({working, watching, stopped, *ends}, return_when=asyncio.FIRST_COMPLETED)
        dead = next((task for task in ends if task.done()), None)
        worker.stop()
        await working
        if dead is not None and not stop.is_set():
            raise EngineEnded(ends[dead], exit_code=dead.result())
    finally:
        for task in (working, watching, stopped, *ends):
            task.cancel()
        await asyncio.wait({working, watching, stopped, *ends})


async def _offer_what_is_ready(health: EngineHealth, worker: Worker) -> None:
    """Probe engines that failed, and offer only those that answer, for as long as the machine lives."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(health.run(), name="engine-probes")
        while True:
            await health.changed.wait()
            health.changed.clear()
            worker.offer(health.offered)
