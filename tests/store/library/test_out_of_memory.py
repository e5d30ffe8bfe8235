"""Memory is out, for real: what takes work in says so and changes nothing, what finishes work goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from valkey import Valkey
from valkey.exceptions import OutOfMemoryError

from northstar.store.errors import OutOfMemory
from northstar.store.function_library import build
from northstar.store.library_loader import ensure_loaded
from northstar.store.valkey import connect, translate
from tests.store.library.private_servers import private_server
from tests.store.library.rig import Cell, Refusal, ask
from tests.store.library.scenarios import SCENARIOS, Scenario

#: Needed so that a full server becomes an emptier one, also after it was started anew, that what runs is not lost, or that a revocation
#: counts. Everything else may wait.
GO_ON = {
    "bind_history", "cancel", "claim", "complete", "complete_and_claim", "decide_fits", "drain_machine", "drop_documents", "events_committed", "fail", "fetch_ended", "history_trouble", "models_present", "open_cell", "order_ended",
    "register_machine", "release", "remove_machine", "renew", "reroute", "resume", "revoke", "revoke_invite", "set_candidates", "suspect_machine", "tick", "transfer_abort", "transfer_done",
    "transfer_in", "transfer_out", "transfer_settled", "update_machine",
}  # fmt: skip
READ = {
    "authenticate", "inspect", "list_invites", "list_jobs", "list_tokens", "look_at_invite", "pending_orders", "statistics",
}  # fmt: skip


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["valkey", pytest.param("redis7", marks=pytest.mark.redis7)]
)
async def small(request: pytest.FixtureRequest) -> AsyncIterator[Valkey]:
    async with private_server(request.param) as (client, _):
        yield client


@pytest.fixture
def full(small: Valkey) -> Iterator[Cell]:
    """A cell on a server whose memory a test lets run out."""
    cell = Cell(small)
    yield cell
    set_memory(small, 0)
    cell.forget()


def set_memory(server: Valkey, limit_bytes: int) -> None:
    """One byte is less than any server uses; zero is no limit."""
    ask(server, "CONFIG", "SET", "maxmemory", limit_bytes)


def test_what_may_run_without_memory_is_what_frees_it_or_keeps_work_from_being_lost() -> None:
    assert {spec.name for spec in build().functions.values() if "allow-oom" in spec.flags} == GO_ON


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_without_memory_a_function_is_refused_whole_or_done_whole(full: Cell, scenario: Scenario) -> None:
    twin = Cell(full.server)
    expected = twin.call(scenario.function, **scenario.request(scenario.prepare(twin)))
    after = twin.state()
    twin.forget()
    furnished = scenario.prepare(full)
    request, before = scenario.request(furnished), full.state()
    set_memory(full.server, 1)
    if scenario.function in GO_ON | READ:
        assert full.call(scenario.function, **request) == expected
    else:
        with pytest.raises(Refusal, match=r"^OOM "):
            full.call(scenario.function, **request)
        assert full.state() == before
        set_memory(full.server, 0)
        assert full.call(scenario.function, **request) == expected
    assert full.state() == after


def test_the_error_says_what_to_do(full: Cell) -> None:
    set_memory(full.server, 1)
    with pytest.raises(OutOfMemoryError) as caught:
        ask(full.server, "SET", "x", "y")
    error = translate(caught.value)
    assert isinstance(error, OutOfMemory)
    assert str(error).startswith("Valkey is out of memory: ")


async def test_a_library_cannot_be_loaded_without_memory_and_is_loaded_when_there_is_some() -> None:
    async with private_server("valkey") as (server, url):
        ask(server, "FUNCTION", "FLUSH")
        set_memory(server, 1)
        client = connect(url)
        try:
            with pytest.raises(OutOfMemory):
                await ensure_loaded(client, build())
            set_memory(server, 0)
            await ensure_loaded(client, build())
        finally:
            await client.aclose()
