"""`up` on a server that somebody else runs, whatever stands before it: a job goes through, and no password is told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from northstar.store.embedded import EmbeddedValkey, ServerOptions
from tests import servers
from tests.acceptance.test_up import jobs
from tests.northstar_command import Northstar

PASSWORD = "s3cr3t-pw"


@contextlib.asynccontextmanager
async def behind_a_sentinel(_: Path) -> AsyncIterator[str]:
    async with (
        EmbeddedValkey(options=ServerOptions(listen="tcp")) as primary,
        servers.sentinel(primary, service="main") as found,
    ):
        yield found.url


@contextlib.asynccontextmanager
async def with_a_password(folder: Path) -> AsyncIterator[str]:
    async with EmbeddedValkey(folder / "server", options=ServerOptions(listen="tcp", password=PASSWORD)) as server:
        yield server.url


@contextlib.asynccontextmanager
async def by_tls(folder: Path) -> AsyncIterator[str]:
    async with servers.tls_redis(folder) as server:
        yield server.url


@contextlib.asynccontextmanager
async def in_a_cluster(_: Path) -> AsyncIterator[str]:
    async with servers.cluster() as server:
        yield server.url


@pytest.mark.parametrize(
    "running",
    [
        with_a_password,
        by_tls,
        in_a_cluster,
        pytest.param(behind_a_sentinel, marks=pytest.mark.long),
    ],
)
async def test_a_job_goes_through_on_a_server_that_a_url_names(
    tmp_path: Path, running: Callable[[Path], AbstractAsyncContextManager[str]]
) -> None:
    async with running(tmp_path) as url:
        northstar = Northstar(tmp_path / "northstar")
        with northstar.up("--valkey", url, "--cell", "elsewhere") as up:
            (job,) = northstar.good("submit", "-", "--wait", stdin=jobs(1))["jobs"]
            assert job["status"] == "succeeded"
            address = job["result"]["outputs"][0]["asset"]["url"]
            assert Path(address.removeprefix("file://")).read_text() == "0 0 0 "
            assert up.stop() == 0
        assert PASSWORD not in (northstar.folder / "err.log").read_text()
