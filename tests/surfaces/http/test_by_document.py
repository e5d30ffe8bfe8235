"""The real interface judged by its own document: generated calls, right ones and wrong ones, meet no fault and no answer that it does not tell of."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from northstar.domain.api_keys import Scope
from tests.conftest import LONG, chosen_profile
from tests.servers import RunningServer
from tests.surfaces.http.site import Site
from tests.surfaces.http.site import site as opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

IS_LONG = chosen_profile() == LONG
#: Calls of each route and kind.
EXAMPLES = 300 if IS_LONG else 2
#: Right calls are refused where the state says no, such as a service that nobody offers: that is documented, and no fault.
LEFT_OUT = ("positive_data_acceptance",)
WITHIN_S = 5_000.0 if IS_LONG else 200.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tolerant(http_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One that minds neither guesses nor what the examples of the document ask for."""
    folder = tmp_path_factory.mktemp("document")
    async with opened(http_server, folder, settings={"serve.wrong_tokens": 0}) as running:
        await running.cell.declare(["service:picture", "service:text"], by="test")
        yield running


def endless(document: dict[str, Any]) -> list[str]:
    """Routes whose answer goes on until its reader has enough."""
    return [
        told["operationId"]
        for operations in document["paths"].values()
        for told in operations.values()
        if any("text/event-stream" in answer.get("content", {}) for answer in told["responses"].values())
    ]


#: `coverage` goes through every bound and every wrong type of every field, which takes minutes.
PHASES = [
    "examples",
    "fuzzing",
    pytest.param("coverage", marks=pytest.mark.long),
    pytest.param("stateful", marks=pytest.mark.long),
]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.timeout(WITHIN_S + 20)
async def test_no_generated_call_meets_a_fault_or_an_answer_that_is_not_documented(
    tolerant: Site, tmp_path: Path, phase: str
) -> None:
    client = await tolerant.client(Scope.ADMIN)
    left_out = endless((await client.get("/openapi.json")).body)
    words = ["run", f"{tolerant.url}/openapi.json", "-H", f"Authorization: Bearer {client.key}", "--phases", phase]
    words += ["--max-examples", str(EXAMPLES), "--exclude-checks", ",".join(LEFT_OUT), "--request-timeout", "20"]
    words += ["--no-color", "--generation-deterministic", "--warnings", "off"]
    words += [word for name in left_out for word in ("--exclude-operation-id", name)]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        *words,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = told.decode()
    assert process.returncode == 0, text[-20_000:]
    tested = re.search(r"(\d+) generated", text)
    assert tested is not None, text
    assert int(tested[1]) >= 10
