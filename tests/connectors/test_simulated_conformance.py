"""The simulated connector keeps the contract that connectors to real engines keep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from northstar.connectors.simulated import SimulatedConnector, SimulatedSettings
from northstar.connectors.simulated_time import FixedTime, StepTime
from tests.connectors.conformance import ConnectorConformance, Subject

LOAD_S = 0.003


class TestSimulatedConnector(ConnectorConformance):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        may_load = asyncio.Event()
        may_load.set()

        async def sleep(seconds: float) -> None:
            if seconds == LOAD_S:
                await may_load.wait()
            await asyncio.sleep(seconds)

        settings = SimulatedSettings(
            service="picture",
            run=StepTime(step_s=0.001),
            load=FixedTime(seconds=LOAD_S),
            model="base",
            side_by_side=3,
            streams=True,
        )
        connector = SimulatedConnector(settings, sleep=sleep)

        async def is_working() -> bool:
            return connector.engine.working > 0

        async def is_queueing() -> bool:
            return connector.engine.waiting > 0

        async def kill() -> None:
            connector.engine.die(for_s=60.0)

        async def hold_load(hold: bool) -> None:
            may_load.clear() if hold else may_load.set()

        yield Subject(
            connector=connector,
            kind="simulated",
            good={"prompt": "the sea", "steps": 5},
            endless={"simulate": {"run_s": 60.0}},
            bad={"steps": 0},
            too_much={"simulate": {"output_bytes": 2_000_000}},
            is_working=is_working,
            kill=kill,
            streams=True,
            nonsense={"simulate": {"fail": "malformed"}},
            places=3,
            is_queueing=is_queueing,
            hold_load=hold_load,
            phases=frozenset({"loading", "running", "storing"}),
        )
        await connector.close()
