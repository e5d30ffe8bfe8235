"""A machine that starts waits for an engine that loads, and gives up on one that can never work as it is set."""

from __future__ import annotations

import pytest

from northstar.assembly.worker import _until_ready
from northstar.connectors.errors import EngineBusy, EngineError, EngineMisconfigured
from northstar.connectors.simulated import SimulatedConnector, SimulatedSettings


class Loading(SimulatedConnector):
    def __init__(self, *troubles: EngineError) -> None:
        super().__init__(SimulatedSettings(service="text"))
        self.troubles = list(troubles)

    async def ready(self) -> None:
        if self.troubles:
            raise self.troubles.pop(0)


async def test_an_engine_that_still_loads_is_asked_again() -> None:
    engine = Loading(EngineBusy("loading", service="text"))
    await _until_ready({"text": engine}, within_s=60.0)
    assert engine.troubles == []


async def test_a_wrong_key_is_told_at_once() -> None:
    engine = Loading(*[EngineMisconfigured("401", service="text")] * 2)
    with pytest.raises(EngineMisconfigured, match="check the address, key and model"):
        await _until_ready({"text": engine}, within_s=60.0)
    assert len(engine.troubles) == 1
