"""A machine that starts waits for an engine that loads, and gives up on one that can never work as it is set."""

from __future__ import annotations

import pytest
import structlog

from northstar.assembly.getting_ready import until_ready
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
    assert await until_ready({"text": engine}, within_s=60.0) == ("text",)
    assert engine.troubles == []


async def test_a_wrong_key_is_told_at_once() -> None:
    engine = Loading(*[EngineMisconfigured("401", service="text")] * 2)
    with pytest.raises(EngineMisconfigured, match="check the address, key and model"):
        await until_ready({"text": engine}, within_s=60.0)
    assert len(engine.troubles) == 1


async def test_an_engine_that_is_not_there_keeps_the_others_from_no_work() -> None:
    absent = Loading(*[EngineBusy("nothing listens there", service="picture")] * 100)
    wrong = Loading(EngineMisconfigured("401", service="speech"))
    engines = {"picture": absent, "speech": wrong, "text": Loading()}
    assert await until_ready(engines, within_s=60.0, together_s=0.0) == ("text",)


async def test_if_none_is_ready_in_time_the_machine_says_why() -> None:
    engines = {name: Loading(*[EngineBusy("loading", service=name)] * 9) for name in ("text", "picture")}
    with pytest.raises(EngineBusy, match="loading"):
        await until_ready(engines, within_s=0.0)


async def test_the_same_trouble_is_told_once_and_in_few_words() -> None:
    engine = Loading(*[EngineBusy("x" * 900, service="text")] * 2, EngineBusy("loading", service="text"))
    with structlog.testing.capture_logs() as lines:
        await until_ready({"text": engine}, within_s=60.0)
    assert [line["event"] for line in lines] == ["engine_not_ready"] * 2
    assert max(len(line["error"]) for line in lines) == 300
