"""What a command that explains goes by on a host of its own: the same paces of GPUs as the brokers that plan."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest_asyncio

from northstar.assembly.explaining import explaining
from northstar.broker.dispatch import Dispatcher
from northstar.broker.durations import Durations
from northstar.broker.learned_summary import LearnedSummary
from northstar.config import load
from northstar.config.pools import packaged_pools
from northstar.domain.estimates import FinishedRun
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld, ModelNeed
from northstar.domain.requirements import Requirements
from northstar.policy.routing.ranking_terms import ranking_terms
from northstar.store.snapshots import read_candidates
from tests import servers
from tests.agent.rig import PROFILE, Rig, nonce


class _Runs:
    """The same work takes 80 s on an L4 and 20 s on an H100."""

    async def cursor_before_last(self, count: int) -> str:
        return "0"

    async def finished_runs(self, after: str, count: int) -> tuple[list[FinishedRun], str]:
        runs = [
            FinishedRun(shape="a", service="waits", model="", user="", gpu_class=gpu, ran_s=seconds)
            for gpu, seconds in (("l4", 80.0), ("h100", 20.0)) * 6
        ]
        return (runs if after == "0" else []), "12"


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with servers.embedded_valkey() as server, Rig(server.url) as opened:
        yield opened


async def test_a_machine_is_told_to_take_what_its_plan_lets_it_take_at_once(rig: Rig, tmp_path: Path) -> None:
    """An H100 that must fetch has it done so much sooner than the L4 that holds the model that it leaves it to nobody."""
    for name, gpu in (("holder", "NVIDIA L4"), ("fast", "NVIDIA H100 PCIe")):
        link = await rig.link(name)
        held = (ModelHeld("sdxl.safetensors", state="resident"),) if name == "holder" else ()
        await link.register(PROFILE, MachineDescription(gpu=gpu), slots=1, models=held)
    model = ModelNeed(name="sdxl.safetensors", size_bytes=2_000_000_000)
    await rig.submit("job", requires=Requirements(models=(model,)), expected_s=100.0)
    learned = Durations(_Runs(), every_s=1.0)
    await learned.turn()
    await LearnedSummary(rig.cell, learned).turn()
    terms = ranking_terms(packaged_pools(), learned.paces())
    await Dispatcher(rig.cell, new_nonce=nonce, terms=lambda: terms).plan()
    settings = load(environment={"HOME": "/nobody"})
    valkey = msgspec.structs.replace(settings.valkey, url=rig.url)
    settings = msgspec.structs.replace(settings, data_dir=str(tmp_path), cell=rig.name, valkey=valkey)
    async with explaining(settings) as explainer:
        (lane,) = (await explainer.machine("fast")).may_take
        (first, *_) = (await explainer.job("job")).machines.shown
    (choice,) = (await read_candidates(rig.cell.client, rig.cell.keys))["fast"]
    assert lane.reason is not None
    assert (choice.ready_after_ms, lane.reason.code) == (0, "takes_it")
    assert first.names == ("fast", "holder")
