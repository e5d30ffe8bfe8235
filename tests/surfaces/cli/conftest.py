"""One `northstar up` for all tests of a module; each test uses jobs of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.northstar_command import Northstar


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Northstar]:
    northstar = Northstar(tmp_path_factory.mktemp("running"))
    with northstar.up():
        northstar.until_machines("local")
        yield northstar
