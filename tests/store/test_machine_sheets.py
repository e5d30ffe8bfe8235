"""One machine as people want to see it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from northstar.domain.engine_facts import EngineFacts
from northstar.domain.machines import EngineDescription, Gpu, MachineDescription
from northstar.domain.models import ModelHeld
from northstar.domain.refusals import NoSuchMachine
from northstar.domain.requirements import Requirements
from northstar.policy.fleet.announcement import Declared, announce
from northstar.policy.fleet.gpus import FoundGpus
from northstar.store.machine_sheets import read_machine_sheet
from tests.agent.rig import PROFILE, Rig
from tests.servers import RunningServer

SAID = MachineDescription(
    region="eu",
    price_usd_per_hour=0.25,
    gpu="2 x NVIDIA L4",
    gpus=(Gpu(index=0, name="NVIDIA L4", vram_mb=24_152), Gpu(index=1, name="NVIDIA L4", vram_mb=24_152)),
    driver="550.90.07",
    engines=(EngineDescription(service="waits", kind="comfyui", version="0.3.64", node_classes=900),),
)
HELD = (ModelHeld("sdxl", "disk", 5_000), ModelHeld("vae", "resident", 1))


@pytest_asyncio.fixture
async def rig(valkey_server: RunningServer) -> AsyncIterator[Rig]:
    async with Rig(valkey_server.url) as opened:
        yield opened


async def test_a_machine_is_shown_with_everything_that_it_said_holds_and_fetches(rig: Rig) -> None:
    link = await rig.link("m")
    profile = msgspec.structs.replace(PROFILE, vram_mb=24_152)
    await link.register(profile, SAID, slots=2, models=HELD)
    request = {"machine": "m", "session": link.session, "model": "flux", "bytes": 24_000, "expected_ms": 90_000}
    await rig.cell.call("fetch_started", request | {"copies": 1}, dict[str, int])
    assert (await link.claim(credits_=1)).jobs == []
    sheet = await read_machine_sheet(rig.cell.client, rig.cell.keys, "m")
    assert (sheet.status, sheet.slots, sheet.used, sheet.waits_for_work) == ("active", 2, 0, True)
    assert (sheet.profile, sheet.description, sheet.held) == (profile, SAID, HELD)
    assert (sheet.vram_mb, sheet.vram_used_mb) == (2 * 24_152, 0), "its jobs share the memory of both GPUs"
    (fetch,) = sheet.fetching
    assert (fetch.model, fetch.size_bytes, fetch.expected_ms - fetch.started_ms) == ("flux", 24_000, 90_000)


async def test_a_machine_that_said_nothing_is_shown_too(rig: Rig) -> None:
    await rig.joined("m")
    sheet = await read_machine_sheet(rig.cell.client, rig.cell.keys, "m")
    assert (sheet.profile, sheet.description, sheet.held, sheet.fetching) == (PROFILE, MachineDescription(), (), ())


async def test_a_machine_that_is_not_there_is_told(rig: Rig) -> None:
    with pytest.raises(NoSuchMachine, match="machine nobody is not registered"):
        await read_machine_sheet(rig.cell.client, rig.cell.keys, "nobody")


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x91\x01", b"{", b"null"])
async def test_what_nobody_can_read_is_left_out(rig: Rig, value: bytes) -> None:
    link = await rig.link("m")
    await link.register(PROFILE, SAID, slots=2, models=HELD)
    for part, field in (("descriptions", "m"), ("residency", "m"), ("fetches", "m"), ("profiles", "000001")):
        await rig.cell.client.execute_command("HSET", rig.cell.keys[part], field, value)
    sheet = await read_machine_sheet(rig.cell.client, rig.cell.keys, "m")
    assert (sheet.id, sheet.profile, sheet.description) == ("m", None, MachineDescription())
    assert (sheet.held, sheet.fetching) == ((), ())


async def test_two_jobs_that_need_most_of_a_gpu_run_on_two_gpus_at_the_same_time(rig: Rig) -> None:
    link = await rig.link("m")
    profile = msgspec.structs.replace(PROFILE, vram_mb=24_152)
    await link.register(profile, SAID, slots=2, models=())
    await rig.submit("a", "b", requires=Requirements(vram_mb=20_000))
    await rig.plan()
    assert {job.id for job in (await link.claim(credits_=2)).jobs} == {"a", "b"}


async def test_the_longest_announcement_that_policy_makes_is_taken(rig: Rig) -> None:
    packs = tuple(f"{number:03}-{'p' * 60}" for number in range(500))
    engines = {f"{'s' * 60}-{n}": EngineFacts(kind="k" * 32, version="v" * 64, node_packs=packs) for n in range(64)}
    cards = tuple(Gpu(index=index, name="N" * 64, uuid="GPU-" + "u" * 60) for index in range(64))
    said = announce(Declared(profile=PROFILE), FoundGpus(gpus=cards), engines)
    await (await rig.link("m")).register(said.profile, said.description, slots=said.slots, models=said.models)
    sheet = await read_machine_sheet(rig.cell.client, rig.cell.keys, "m")
    assert (sheet.profile, sheet.description, sheet.slots) == (said.profile, said.description, 64)
    assert len(said.profile.node_packs) > 200
    assert "node packs are not announced" in said.description.trouble
