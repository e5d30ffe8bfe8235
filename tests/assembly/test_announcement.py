"""From settings, GPUs and engines to what a machine announces, and to jobs that go only where their nodes are."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from northstar.agent.kept_models import NoModels
from northstar.agent.model_keeper import ModelKeeper
from northstar.agent.readiness import EngineHealth
from northstar.agent.worker import Worker
from northstar.assembly.announcement import Announcer, announcement
from northstar.assembly.engine_care import EngineCare, offer_what_is_ready
from northstar.assembly.worker import run_worker
from northstar.config import Settings, load
from northstar.config.settings import MachineSettings
from northstar.connectors.comfyui import ComfyUIConnector
from northstar.connectors.contract import Connector
from northstar.connectors.errors import EngineBusy
from northstar.connectors.secret import Secret
from northstar.connectors.simulated import SimulatedConnector, SimulatedSettings
from northstar.domain.engine_facts import EngineFacts
from northstar.domain.jobs import JobRequest
from northstar.domain.models import ModelHeld
from northstar.domain.requirements import Requirements
from northstar.policy.fleet.breaker import HealthRule
from northstar.store.machine_sheets import read_machine_sheet
from northstar.store.snapshots import read_snapshot
from tests import servers
from tests.agent.nvidia_smi import H200, TWO_L4, fake_nvidia_smi
from tests.agent.rig import Rig, Runs
from tests.broker.gateway.rig import Fleet
from tests.connectors.comfyui.graphs import picture
from tests.connectors.comfyui.rig import CALM
from tests.connectors.fake_comfyui.server import FakeComfyUI
from tests.servers import RunningServer, eventually

IMPACT = {"ImageBlur": "custom_nodes.ComfyUI-Impact-Pack"}
MACHINE = MachineSettings(name="m", services=("picture",))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[RunningServer]:
    async with servers.embedded_valkey() as running:
        yield running


def simulated(model: str = "") -> dict[str, Connector]:
    return {"picture": SimulatedConnector(SimulatedSettings(service="picture", model=model))}


async def no_pause(_seconds: float) -> None:
    return


# Hardware -----------------------------------------------------------------------------------------------------------


async def test_a_machine_without_settings_for_its_gpu_announces_what_is_there(tmp_path: Path) -> None:
    said = await announcement(MACHINE, simulated("base"), environment=fake_nvidia_smi(tmp_path, H200))
    assert (said.slots, said.profile.vram_mb) == (1, 141_000)
    assert said.description.gpus[0].vram_mb == 150_754
    assert (said.description.gpu, said.description.driver) == ("NVIDIA H200", "570.86.15")


async def test_a_declared_profile_wins(tmp_path: Path) -> None:
    machine = msgspec.structs.replace(MACHINE, vram_mb=20_000, gpu="H200, mine", slots=3, price_usd_per_hour=2.5)
    said = await announcement(machine, simulated(), environment=fake_nvidia_smi(tmp_path, H200))
    assert (said.slots, said.profile.vram_mb, said.description.gpu) == (3, 20_000, "H200, mine")
    assert said.description.price_usd_per_hour == 2.5


async def test_a_broken_driver_keeps_nobody_from_work_that_needs_no_gpu_and_is_told(tmp_path: Path) -> None:
    said = await announcement(
        MACHINE, simulated(), environment=fake_nvidia_smi(tmp_path, "NVIDIA-SMI has failed", code=9)
    )
    assert (said.slots, said.profile.vram_mb, said.description.gpus) == (1, 0, ())
    assert said.description.trouble.startswith("NS_HARDWARE_UNKNOWN: nvidia-smi does not say which GPUs are here")


async def test_a_machine_that_is_said_to_use_no_gpu_does_not_look(tmp_path: Path) -> None:
    machine = msgspec.structs.replace(MACHINE, gpus=0, slots_per_gpu=4)
    said = await announcement(machine, simulated(), environment=fake_nvidia_smi(tmp_path, "garbage"))
    assert (said.slots, said.profile.vram_mb, said.description.trouble) == (4, 0, "")


# Engines ------------------------------------------------------------------------------------------------------------


async def test_models_that_an_engine_holds_are_announced() -> None:
    connectors = simulated("base")
    await connectors["picture"].ready()
    said = await announcement(MACHINE, connectors, environment={"PATH": ""})
    assert said.models == (ModelHeld("base", "resident"),)


class Shy(SimulatedConnector):
    """Says what it is only when it has been asked a few times."""

    def __init__(self, *, refusals: int) -> None:
        super().__init__(SimulatedSettings(service="picture"))
        self.refusals = refusals

    async def describe(self) -> EngineFacts:
        if self.refusals > 0:
            self.refusals -= 1
            raise EngineBusy("loading", service="picture")
        return EngineFacts(kind="shy", version="1")


async def test_an_engine_that_does_not_answer_at_once_is_asked_again() -> None:
    announcer = Announcer(MACHINE, {"picture": Shy(refusals=2)}, environment={"PATH": ""}, sleep=no_pause)
    assert (await announcer.announcement()).description.engines[0].kind == "shy"


async def test_an_engine_that_never_says_what_it_is_is_announced_by_its_service() -> None:
    announcer = Announcer(MACHINE, {"picture": Shy(refusals=3)}, environment={"PATH": ""}, sleep=no_pause)
    (engine,) = (await announcer.announcement()).description.engines
    assert (engine.service, engine.kind) == ("picture", "")
    assert (await announcer.announcement_after(["picture"])).description.engines[0].kind == "shy"


async def test_an_engine_that_works_and_did_not_say_what_it_is_is_asked_again(server: RunningServer) -> None:
    async with Rig(server.url) as rig:
        connectors = {"waits": Shy(refusals=4)}
        machine = msgspec.structs.replace(MACHINE, services=("waits",))
        announcer = Announcer(machine, connectors, environment={"PATH": ""}, sleep=no_pause)
        assert (await announcer.announcement()).description.engines[0].kind == ""
        assert announcer.silent == {"waits"}
        health = health_of(connectors)
        worker = rig.worker(await rig.link(), Runs())
        async with rig.working(worker), offering(health, worker, announcer, ask_again_s=0.05):

            async def announced() -> bool:
                snapshot = await read_snapshot(rig.cell.client, rig.cell.keys)
                machines = snapshot.machines.values()
                return any(engine.kind == "shy" for known in machines for engine in known.description.engines)

            await eventually(announced, what="the engine is announced")
        assert not announcer.silent


class Tells(SimulatedConnector):
    """Says what is in its memory, as long as it answers."""

    held: ModelHeld | None = ModelHeld("llm", "resident", 5)
    answers = True
    asked = 0

    async def describe(self) -> EngineFacts:
        self.asked += 1
        if not self.answers:
            raise EngineBusy("not now", service=self.service)
        return EngineFacts(kind="tells", models=(self.held,) if self.held else (), tells_residency=True)


class Asked(SimulatedConnector):
    """Does not tell what is in its memory, and counts how often it is asked."""

    asked = 0

    async def describe(self) -> EngineFacts:
        self.asked += 1
        return EngineFacts(kind="asked")


async def test_engines_that_tell_are_asked_what_they_hold_now_and_the_others_are_left_alone() -> None:
    tells = Tells(SimulatedSettings(service="text"))
    other = Asked(SimulatedSettings(service="picture"))
    announcer = Announcer(
        msgspec.structs.replace(MACHINE, services=("text", "picture")),
        {"text": tells, "picture": other},
        environment={"PATH": ""},
        sleep=no_pause,
    )
    assert (await announcer.announcement()).models == (ModelHeld("llm", "resident", 5),)
    assert announcer.telling == {"text"}
    tells.held = ModelHeld("llm", "disk", 5)
    assert await announcer.models_now() == (ModelHeld("llm", "disk", 5),)
    tells.answers = False
    assert await announcer.models_now() == (ModelHeld("llm", "disk", 5),), "it is believed as before"
    assert (tells.asked, other.asked) == (3, 1)


async def test_where_no_engine_tells_what_it_holds_none_is_asked() -> None:
    announcer = Announcer(MACHINE, {"picture": Asked(SimulatedSettings(service="picture"))}, environment={"PATH": ""})
    await announcer.announcement()
    assert await announcer.models_now() is None


async def test_what_an_engine_drops_by_its_own_clock_is_heard_of(server: RunningServer) -> None:
    """Ollama lets go of a model after five idle minutes; no job tells of that."""
    async with Rig(server.url) as rig:
        tells = Tells(SimulatedSettings(service="waits"))
        announcer = Announcer(
            msgspec.structs.replace(MACHINE, services=("waits",)), {"waits": tells}, environment={"PATH": ""}
        )
        said = await announcer.announcement()
        link = await rig.link()
        keeper = ModelKeeper(
            NoModels(), rig.model_link(link), said=said.description, of_engines=said.models, settle_s=0.0
        )
        care = EngineCare(announcer, keeper, health_of({"waits": tells}), ask_every_s=0.05)
        worker = rig.worker(link, Runs(), presence=keeper)

        async def held() -> dict[str, str]:
            return (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["m"].held

        async def is_resident() -> bool:
            return await held() == {"llm": "resident"}

        async def is_gone() -> bool:
            return await held() == {}

        async with rig.working(worker), doing(keeper.run()), doing(care.run(worker)):
            await rig.registered("m")
            await eventually(is_resident, what="the model is in memory")
            tells.held = None
            await eventually(is_gone, what="the model is gone")


class Odd(SimulatedConnector):
    async def describe(self) -> EngineFacts:
        raise KeyError("a fault of ours")


async def test_a_fault_in_describing_costs_the_facts_and_not_the_machine() -> None:
    connectors: dict[str, Connector] = {"picture": Odd(SimulatedSettings(service="picture"))}
    (engine,) = (await announcement(MACHINE, connectors, environment={"PATH": ""})).description.engines
    assert (engine.service, engine.kind) == ("picture", "")


async def test_an_engine_that_returns_with_other_nodes_is_announced_anew(server: RunningServer) -> None:
    fake = FakeComfyUI()
    fake.modules = IMPACT
    async with fake.serving(), Rig(server.url) as rig:
        connector = ComfyUIConnector(fake.url, service="waits", patience=CALM)
        machine = msgspec.structs.replace(MACHINE, services=("waits",))
        announcer = Announcer(machine, {"waits": connector}, environment={"PATH": ""})
        health = health_of({"waits": connector})
        said = await announcer.announcement()
        worker = rig.worker(await rig.link(), Runs())
        worker.announce(said.profile, said.description, models=said.models)
        async with rig.working(worker), offering(health, worker, announcer):
            await eventually(lambda: packs_of(rig), what="the pack is announced")
            fake.modules = {"ImageBlur": "custom_nodes.other"}
            health.report_death("waits", "killed by the test")

            async def announced() -> bool:
                return await packs_of(rig) == ("other",)

            await eventually(announced, what="the other pack is announced")
        await connector.close()


async def test_a_machine_says_why_its_engine_takes_no_work_until_it_takes_some_again(server: RunningServer) -> None:
    async with FakeComfyUI().serving() as fake, Rig(server.url) as rig:
        connector = ComfyUIConnector(fake.url, service="waits", patience=CALM)
        announcer = Announcer(
            msgspec.structs.replace(MACHINE, services=("waits",)), {"waits": connector}, environment={"PATH": ""}
        )
        health = health_of({"waits": connector})
        worker = rig.worker(await rig.link(), Runs())

        async def said() -> tuple[str, bool]:
            description = (await read_machine_sheet(rig.cell.client, rig.cell.keys, "m")).description
            return description.trouble, description.takes_work

        async with rig.working(worker), offering(health, worker, announcer):
            await rig.registered("m")
            fake.answers["/prompt"] = (500, b"")
            health.report_death("waits", "killed by the test")

            async def is_said() -> bool:
                trouble, takes_work = await said()
                return trouble.startswith("waits takes no work now: ") and not takes_work

            async def is_over() -> bool:
                return await said() == ("", True)

            await eventually(is_said, what="the machine says what is wrong")
            fake.answers.clear()
            await eventually(is_over, what="the machine says nothing any more")
        await connector.close()


def health_of(connectors: Mapping[str, Connector]) -> EngineHealth:
    """Engines that have answered their warm-up; one that fails is asked again at once."""
    health = EngineHealth(
        connectors,
        rule=HealthRule(first_pause_s=0.05),
        clock=time.monotonic,
        sleep=asyncio.sleep,
        jitter=lambda: 0.0,
        probe_within_s=10.0,
    )
    health.proven(health.connectors)
    return health


@contextlib.asynccontextmanager
async def offering(
    health: EngineHealth, worker: Worker, announcer: Announcer, *, ask_again_s: float = 60.0
) -> AsyncIterator[None]:
    task = asyncio.create_task(offer_what_is_ready(health, worker, announcer, ask_again_s=ask_again_s))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@contextlib.asynccontextmanager
async def doing(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def packs_of(rig: Rig) -> tuple[str, ...]:
    snapshot = await read_snapshot(rig.cell.client, rig.cell.keys)
    return snapshot.profiles[snapshot.machines["m"].profile].node_packs if "m" in snapshot.machines else ()


# The whole way ------------------------------------------------------------------------------------------------------

FILE = """
data_dir = "{folder}"
[agent]
broker = "{broker}"
[[machines]]
name = "{name}"
services = ["picture"]
price_usd_per_hour = 0.4
[services.picture]
connector = "comfyui"
base_url = "{comfyui}"
"""


def settings_of(folder: Path, **values: str) -> Settings:
    folder.mkdir()
    file = folder / "northstar.toml"
    file.write_text(FILE.format(folder=folder / "data", **values))
    return load(environment={"HOME": "/nobody"}, file=file)


@contextlib.asynccontextmanager
async def dialled(fleet: Fleet, broker: str, folder: Path, **comfyui: FakeComfyUI) -> AsyncIterator[None]:
    """Machines by name, each with its ComfyUI and two GPUs, registered through the broker."""
    stop = asyncio.Event()
    working = []
    for name, engine in comfyui.items():
        settings = settings_of(folder / name, name=name, broker=broker, comfyui=engine.url)
        environment = fake_nvidia_smi(folder / name, TWO_L4)
        token = Secret(await fleet.token(name))
        running = run_worker(settings, name, engines={}, environment=environment, stop=stop, token=token)
        working.append(asyncio.create_task(running))

    async def all_are_there() -> bool:
        assert not any(task.done() for task in working), working
        return (await read_snapshot(fleet.cell.client, fleet.cell.keys)).machines.keys() == comfyui.keys()

    try:
        await eventually(all_are_there, what="all machines have registered")
        yield
    finally:
        stop.set()
        await asyncio.gather(*working)


async def test_a_job_that_needs_a_node_pack_goes_only_where_it_is_installed(
    server: RunningServer, tmp_path: Path
) -> None:
    """The ComfyUI servers of two machines differ in one pack, and nothing of it was declared."""
    plain, rich = FakeComfyUI(), FakeComfyUI(checkpoints=("sdxl.safetensors",))
    rich.modules = IMPACT
    needs = Requirements(node_packs=("comfyui-impact-pack",), vram_mb=20_000)
    requests = [JobRequest(service="picture", payload=picture(colour=n), requires=needs) for n in range(4)]
    async with (
        Fleet(server.url, tmp_path / "fleet") as fleet,
        plain.serving(),
        rich.serving(),
        fleet.dispatching(),
        fleet.front() as front,
        dialled(fleet, front.url, tmp_path, plain=plain, rich=rich),
    ):
        jobs = await fleet.submitter.submit(requests)
        for job in jobs:
            await fleet.becomes(job.id, "succeeded", within_s=20.0)
        sheet = await read_machine_sheet(fleet.cell.client, fleet.cell.keys, "rich")
    assert len([call for call in rich.calls if call[:2] == ("POST", "/prompt")]) == 1 + len(jobs), "and its warm-up"
    assert len([call for call in plain.calls if call[:2] == ("POST", "/prompt")]) == 1
    assert sheet.profile is not None
    assert (sheet.profile.node_packs, sheet.profile.vram_mb) == (("comfyui-impact-pack",), 24_000)
    assert (sheet.slots, sheet.vram_mb, sheet.description.gpu) == (2, 2 * 24_152, "2 x NVIDIA L4")
    assert sheet.held == (ModelHeld("sdxl.safetensors", "disk"),)
    assert sheet.description.price_usd_per_hour == 0.4
    (engine,) = sheet.description.engines
    assert (engine.kind, engine.version, engine.node_classes) == ("comfyui", "0.3.64", len(rich.classes))


async def test_a_fault_beside_the_work_ends_the_machine_with_its_error_and_not_as_if_it_had_been_asked_to(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: ModelKeeper) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(ModelKeeper, "run", broken)
    engine = FakeComfyUI()
    async with Fleet(server.url, tmp_path / "fleet") as fleet, engine.serving(), fleet.front() as front:
        settings = settings_of(tmp_path / "m", name="m", broker=front.url, comfyui=engine.url)
        token = Secret(await fleet.token("m"))
        with pytest.raises(RuntimeError, match="a fault of ours"):
            await run_worker(settings, "m", engines={}, environment={}, stop=asyncio.Event(), token=token)
