"""The library on each kind of server, through a client that blocks: tests here look at one call after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from valkey import Valkey

from northstar.store.function_library import build
from tests.servers import RunningServer
from tests.store.library.instrumented import instrumented
from tests.store.library.rig import Cell, load


def connect_to(running: RunningServer) -> Valkey:
    """A blocking client of a single server that the fixtures started."""
    return Valkey.from_url(running.nodes[0].url, socket_timeout=30)


@pytest.fixture(scope="session", params=["valkey", pytest.param("redis7", marks=pytest.mark.redis7)])
def server(request: pytest.FixtureRequest) -> Iterator[Valkey]:
    """Valkey, then Redis 7, with this installation's library and its instrumented twin loaded."""
    running: RunningServer = request.getfixturevalue(f"{request.param}_server")
    with connect_to(running) as client:
        load(client, build())
        load(client, instrumented())
        yield client


@pytest.fixture
def cell(server: Valkey) -> Iterator[Cell]:
    """A cell of the test's own that is not made yet."""
    made = Cell(server)
    yield made
    made.forget()
