"""On which machines the memory that runs take is measured, and that it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import pytest

from northstar.agent.run_meter import RunMeters
from northstar.assembly.announcement import Announcer
from northstar.assembly.gpu_memory import measure_memory
from northstar.assembly.worker import run_worker
from northstar.config import load
from northstar.config.settings import MachineSettings
from northstar.connectors.secret import Secret
from northstar.connectors.simulated import SimulatedConnector, SimulatedSettings
from northstar.domain.events import EventId
from northstar.domain.jobs import JobRequest
from northstar.domain.limits import CellLimits
from northstar.domain.run_reports import from_wire
from northstar.store.events import read_events
from tests import servers
from tests.agent.nvidia_smi import H200, TWO_L4, fake_nvidia_smi
from tests.broker.gateway.rig import Fleet

MACHINE = MachineSettings(name="m", services=("picture",))
USES = "0, GPU-0e1b7c2a-5d7f-4b3c-9a52-1f0b6f5d9c11, 10240\n"


async def announcer(environment: Mapping[str, str], machine: MachineSettings = MACHINE) -> Announcer:
    connectors = {"picture": SimulatedConnector(SimulatedSettings(service="picture"))}
    found = Announcer(machine, connectors, environment=environment)
    await found.announcement()
    return found


@pytest.mark.parametrize(
    ("prints", "changes", "visible"),
    [
        (TWO_L4, {}, None),  # of several cards nobody knows which one a job is on
        (H200, {"gpus": 0}, None),  # its services use none
        ("", {}, None),
        (H200, {}, "MIG-6f0e"),  # a slice, of whose memory the driver does not tell
    ],
)
async def test_where_there_is_not_one_card_nobody_is_asked(
    tmp_path: Path, prints: str, changes: dict[str, object], visible: str | None
) -> None:
    environment = fake_nvidia_smi(tmp_path, prints) | ({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    found = await announcer(environment, msgspec.structs.replace(MACHINE, **changes))
    assert found.asking_memory() is None
    measuring = asyncio.create_task(measure_memory(found, RunMeters(lambda: 0.0)))
    done, _ = await asyncio.wait({measuring}, timeout=0.05)
    assert not done, "nothing to measure is no reason for a machine to end"
    measuring.cancel()


async def test_the_one_card_that_a_machine_may_use_is_asked(tmp_path: Path) -> None:
    uses = "0, GPU-aaaa1111-0000-0000-0000-000000000000, 100\n1, GPU-bbbb2222-0000-0000-0000-000000000000, 2000\n"
    environment = fake_nvidia_smi(tmp_path, TWO_L4, uses=uses) | {"CUDA_VISIBLE_DEVICES": "1"}
    asking = (await announcer(environment)).asking_memory()
    assert asking is not None
    assert await asking() == 2_097


@contextlib.asynccontextmanager
async def at_work(fleet: Fleet, folder: Path, environment: Mapping[str, str]) -> AsyncIterator[None]:
    """A whole machine, whose engine takes a few seconds for a job."""
    async with fleet.front() as front:
        file = folder / "northstar.toml"
        folder.mkdir()
        file.write_text(
            f'data_dir = "{folder}"\n[agent]\nbroker = "{front.url.replace("http", "ws", 1)}"\n'
            '[[machines]]\nname = "m"\nservices = ["dream"]\n[services.dream]\nconnector = "simulated"\n'
        )
        stop = asyncio.Event()
        settings, token = load(environment={"HOME": str(folder)}, file=file), Secret(await fleet.token("m"))
        running = asyncio.create_task(
            run_worker(settings, "m", engines={}, environment=environment, stop=stop, token=token)
        )
        try:
            await fleet.registered("m")
            yield
        finally:
            stop.set()
            await running


async def test_a_machine_tells_what_its_runs_took_of_the_card(tmp_path: Path) -> None:
    """The agent as it is shipped, with a driver's program of ours."""
    environment = fake_nvidia_smi(tmp_path, H200, uses=USES)
    async with (
        servers.embedded_valkey() as server,
        Fleet(server.url, tmp_path / "fleet", limits=CellLimits()) as fleet,
        fleet.dispatching(),
        at_work(fleet, tmp_path / "m", environment),
    ):
        payload = {"simulate": {"run_s": 3.0}}
        await fleet.submitter.submit([JobRequest(service="dream", id="a", payload=payload)])
        await fleet.becomes("a", "succeeded", within_s=60.0)
        events = await read_events(fleet.cell.client, fleet.cell.keys, after=EventId(0, 0))
    (ended,) = (event for event in events if event.kind == "job.succeeded")
    report = from_wire(str(ended.data["report"]))
    assert report is not None
    assert (report.peak_vram_mb, report.running_s >= 3.0) == (10_737, True)
