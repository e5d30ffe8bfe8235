"""Whatever happens in whatever order, the queue keeps its promises: on one server, on a cluster, on Redis 7."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import LONG, chosen_profile
from tests.servers import RunningServer
from tests.store.queue.calls import Server
from tests.store.queue.operations import QueueMachine

#: Examples of each server in the short profile and in the long one, where each does 100,000 operations and more.
EXAMPLES = {"short": 60, LONG: 1_200}
STEPS = 100
LONG_OPERATIONS = 100_000


@pytest.fixture(
    params=["valkey_server", "cluster_server", pytest.param("redis7_server", marks=pytest.mark.redis7)],
    ids=["valkey", "cluster", "redis7"],
)
def any_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    running: RunningServer = request.getfixturevalue(request.param)
    opened = Server(running.url)
    yield opened
    opened.close()


@pytest.mark.timeout(5_400)
def test_no_order_of_operations_breaks_a_promise(any_server: Server) -> None:
    """No job lost, none in two places, none committed twice; order, counters, indexes and events as the model says."""

    class Driven(QueueMachine):
        server = any_server
        slots: ClassVar[set[int]] = set()

    profile, began = chosen_profile(), time.monotonic()
    run_state_machine_as_test(
        Driven,
        settings=settings(
            max_examples=EXAMPLES[profile],
            report_multiple_bugs=False,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
    if max(Driven.slots):
        assert len(Driven.slots) >= 2 * EXAMPLES[profile] // 3, "cells of a cluster are spread over its slots"
    took_s = time.monotonic() - began
    print(f"{Driven.operations:,} operations in {took_s:.0f} s, {Driven.operations / took_s:,.0f} a second")
    assert profile != LONG or Driven.operations >= LONG_OPERATIONS, "the long profile promises 100,000 operations"
