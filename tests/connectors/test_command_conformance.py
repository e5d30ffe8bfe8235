"""The command connector before a real program: the demo's painter, and a script that misbehaves on demand."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from northstar.connectors.command import CommandConnector, CommandSettings
from northstar.connectors.command_process import CommandLimits
from tests.connectors.conformance import ConnectorConformance, Subject, hear_nothing
from tests.connectors.conftest import MakeJob
from tests.connectors.processes import children_of, is_alive, launchers, until

PICTURE = {"prompt": "a comet over the sea", "seed": 5, "width": 64, "height": 48, "steps": 4}


class TestCommandConnector(ConnectorConformance):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        connector = CommandConnector(
            CommandSettings(
                service="picture",
                arguments=(sys.executable, "-m", "northstar.demo.painter"),
                warm_up=PICTURE,
                expects=("image/png",),
                limits=CommandLimits(output_bytes=60_000),
                # Tests of the source tree run the painter from there.
                environment={"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        )

        async def is_working() -> bool:
            return bool(launchers())

        async def kill() -> None:
            (launcher,) = launchers()
            (program,) = children_of(launcher)
            os.kill(launcher, signal.SIGKILL)
            await until(lambda: not is_alive(program))

        yield Subject(
            connector=connector,
            kind="command",
            good=PICTURE,
            endless=PICTURE | {"width": 2_048, "height": 2_048, "steps": 1_000},
            bad=PICTURE | {"prompt": "x" * 1_100_000},
            too_much=PICTURE | {"width": 320, "height": 240},
            is_working=is_working,
            kill=kill,
            stays_dead=False,
        )
        await connector.close()

    async def test_a_picture_comes_with_its_cost(self, subject: Subject, make_job: MakeJob) -> None:
        result = await subject.connector.run(make_job(PICTURE), hear_nothing)
        (output,) = result.outputs
        assert (output.name, output.media_type) == ("picture.png", "image/png")
        assert result.summary["exit_code"] == 0
        assert result.summary["cpu_s"] > 0
        assert result.summary["peak_memory_bytes"] > 1_000_000
