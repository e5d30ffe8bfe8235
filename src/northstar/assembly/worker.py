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

from northstar.agent.engine import ConnectorRunner
from northstar.agent.kept_models import KeptModels, NoModels
from northstar.agent.model_keeper import ModelKeeper
from northstar.agent.model_runner import ModelRunner
from northstar.agent.models.settings import options_of
from northstar.agent.models.store import ModelStore
from northstar.agent.readiness import EngineHealth
from northstar.agent.run_meter import RunMeters
from northstar.agent.worker import Worker
from northstar.agent.worker_settings import WorkerSettings
from northstar.assembly.announcement import Announcer
from northstar.assembly.connectors import Engine, EngineUnknown, StartEngine, connector_of
from northstar.assembly.engine_care import EngineCare, trouble_of
from northstar.assembly.getting_ready import until_ready
from northstar.assembly.gpu_memory import measure_memory
from northstar.assembly.pool_life import PoolLife
from northstar.assembly.ways import Way, straight, through_broker
from northstar.config import MachineSettings, OpenAIService, Settings
from northstar.connectors.contract import Connector
from northstar.connectors.secret import Secret
from northstar.domain.errors import InvalidRequest, Unavailable
from northstar.policy.fleet.announcement import Announcement
from northstar.store.embedded.lock import DataDirectoryLock
from northstar.telemetry import logger

log = logger(__name__)


class NoSuchMachineSettings(InvalidRequest):
    """No machine of this name is set up here."""

    code: ClassVar[str] = "NS_NO_SUCH_MACHINE_SETTINGS"

    def __init__(self, name: str, *, known: tuple[str, ...]) -> None:
        super().__init__(
            f"no machine {name!r} is set up (known: {', '.join(known) or 'none'}); name one of these, or add [[machines]] to the settings"
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
    announcer: Announcer
    #: What looks after its models folder; nothing where the settings name none.
    models: KeptModels
    #: What its pools ask of it.
    pools: PoolLife


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
        EngineError: no engine passed its warm-up in time. EngineEnded: it died later.
        MachineReplaced: another process has taken the name.
    """
    machine = settings.machine(name)
    if machine is None:
        raise NoSuchMachineSettings(name, known=tuple(known.name for known in settings.machines))
    async with _equipment(settings, machine, engines=engines, environment=environment) as equipment:
        ready = asyncio.create_task(_introduced(equipment, within_s=settings.agent.ready_within_s))
        if not await _unless_stopped(ready, stop):
            return
        services, said = ready.result()
        log.info("engines_ready", services=list(services))
        way = straight(settings, name)
        if settings.agent.broker:
            way = through_broker(settings, name, token=token, hear_terms=equipment.pools.hear)
        async with AsyncExitStack() as stack:
            entering = asyncio.create_task(stack.enter_async_context(way))
            if await _unless_stopped(entering, stop):
                await _work(entering.result(), settings, said, ready=services, equipment=equipment, stop=stop)


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
        models = await _models(settings, stack, environment=environment)
        pools = PoolLife(machine.pools, models)
        started = await _started(settings, machine, stack, folder=folder, engines=engines, pools=pools)
        connectors: dict[str, Connector] = {}
        for name in machine.services:
            connectors[name] = connector_of(
                name,
                settings.services[name],
                address=started[name].url if name in started else None,
                environment=environment,
                machine=machine.name,
                pool_environment=pools.environment,
            )
            stack.push_async_callback(connectors[name].close)
        announcer = Announcer(
            machine,
            connectors,
            environment=environment,
            files_are_kept=bool(settings.models.root),
            disk_bytes=models.disk_bytes,
        )
        yield MachineProcess(
            connectors=connectors,
            engines=started,
            workspaces=workspaces,
            announcer=announcer,
            models=models,
            pools=pools,
        )


async def _started(
    settings: Settings,
    machine: MachineSettings,
    stack: AsyncExitStack,
    *,
    folder: Path,
    engines: Mapping[str, StartEngine],
    pools: PoolLife,
) -> dict[str, Engine]:
    """The engines that the machine starts itself, by service."""
    started: dict[str, Engine] = {}
    for name in machine.services:
        service = settings.services[name]
        if isinstance(service, OpenAIService) and service.engine:
            if service.engine not in engines:
                raise EngineUnknown(service.engine, known=tuple(engines))
            start = engines[service.engine]
            started[name] = await stack.enter_async_context(start(folder, pools.engine_environment(name)))
    return started


async def _models(settings: Settings, stack: AsyncExitStack, *, environment: Mapping[str, str]) -> KeptModels:
    if not settings.models.root:
        return NoModels()
    return await stack.enter_async_context(ModelStore(options_of(settings.models, environment=environment)))


async def _introduced(equipment: MachineProcess, *, within_s: float) -> tuple[tuple[str, ...], Announcement]:
    """Which engines are ready, at least one, and what the machine says of itself."""
    ready = await until_ready(equipment.connectors, within_s=within_s)
    return ready, await equipment.announcer.announcement(ready)


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


def _health_of(equipment: MachineProcess, settings: Settings) -> EngineHealth:
    return EngineHealth(
        equipment.connectors,
        rule=settings.health.rule,
        clock=time.monotonic,
        sleep=asyncio.sleep,
        jitter=random.random,
        probe_within_s=settings.agent.ready_within_s,
    )


def _worker_of(
    way: Way,
    settings: Settings,
    said: Announcement,
    *,
    health: EngineHealth,
    keeper: ModelKeeper,
    care: EngineCare,
    equipment: MachineProcess,
    meters: RunMeters,
) -> Worker:
    """Models first, then the engine as its health allows, then the outputs on their way."""
    runner = ConnectorRunner(health.connectors, outputs=way.outputs, workspaces=equipment.workspaces)
    return Worker(
        way.link,
        ModelRunner(runner, equipment.models, used=care.used, meters=meters),
        profile=said.profile,
        presence=keeper,
        settings=WorkerSettings(
            slots=said.slots,
            renew_every_s=settings.agent.renew_every_s,
            reclaim_every_s=way.reclaim_every_s,
            drain_s=settings.agent.drain_s,
            batch=way.batch,
            job_lines_per_s=settings.log.job_lines_per_s,
        ),
        jitter=random.random,
        node_set=said.node_set,
        meters=meters,
    )


async def _work(
    way: Way,
    settings: Settings,
    said: Announcement,
    *,
    ready: tuple[str, ...],
    equipment: MachineProcess,
    stop: asyncio.Event,
) -> None:
    health = _health_of(equipment, settings)
    health.proven(ready)
    keeper = ModelKeeper(
        equipment.models,
        way.models,
        said=said.description,
        of_engines=said.models,
        vram_bytes=said.profile.vram_mb * 1_000_000,
    )
    care = EngineCare(equipment.announcer, keeper, health, ask_every_s=settings.agent.ask_engines_every_s)
    meters = RunMeters(time.monotonic)
    worker = _worker_of(
        way, settings, said, health=health, keeper=keeper, care=care, equipment=equipment, meters=meters
    )
    if len(ready) < len(equipment.connectors):
        worker.offer(ready, trouble=trouble_of(health))
    working = asyncio.create_task(worker.run(), name="worker")
    models = asyncio.create_task(keeper.run(), name="models")
    watching = asyncio.create_task(care.run(worker), name="engine-health")
    measuring = asyncio.create_task(measure_memory(equipment.announcer, meters), name="gpu-memory")
    ends = {
        asyncio.create_task(engine.wait(), name=f"engine-{name}"): name for name, engine in equipment.engines.items()
    }
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({working, watching, measuring, models, stopped, *ends}, return_when=asyncio.FIRST_COMPLETED)
        dead = next((task for task in ends if task.done()), None)
        worker.stop()
        if not working.done() and worker.holds_nothing and not way.is_connected():
            log.info("machine_stopped_unheard")  # nobody would hear that it leaves, and nothing has to be handed back
        else:
            await working
        if dead is not None and not stop.is_set():
            raise EngineEnded(ends[dead], exit_code=dead.result())
        for part in (models, watching, measuring):
            if part.done():
                part.result()  # what ended it is this machine's end, and not to be passed over
    finally:
        for task in (working, watching, measuring, models, stopped, *ends):
            task.cancel()
        await asyncio.wait({working, watching, measuring, models, stopped, *ends})
