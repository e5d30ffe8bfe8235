"""The library on the embedded server, and a fresh cell with a machine in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import RunningServer
from tests.store.queue.builders import Shop
from tests.store.queue.calls import Cell, Server


@pytest.fixture(scope="module")
def server(valkey_server: RunningServer) -> Iterator[Server]:
    opened = Server(valkey_server.url)
    yield opened
    opened.close()


@pytest.fixture
def shop(server: Server) -> Shop:
    return Shop(Cell(server))
