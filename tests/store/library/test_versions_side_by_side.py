"""A rolling upgrade: old and new processes use the same cell at the same time, each with its own version of the library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from valkey import Valkey

from northstar.store.function_library import Library, build
from northstar.store.messages import JobRecord
from tests.store.library.private_servers import private_server
from tests.store.library.rig import Cell, Refusal, ask, load
from tests.store.library.scenarios import FAST, SCENARIOS, Scenario, a_job, a_machine, of
from tests.store.library.versions import next_version, same_name_other_code

OLD, NEW = build(), next_version()
FIELDS = len(JobRecord.__struct_fields__)


@pytest.fixture
def both(server: Valkey, cell: Cell) -> Iterator[Cell]:
    """An open cell on a server with both versions."""
    load(server, NEW)
    cell.open()
    cell.call("declare", words=["model:a", "model:b", "service:s"], by="me", withdraw=False)
    cell.call("register_machine", **a_machine("m1"))
    yield cell
    ask(server, "FUNCTION", "DELETE", NEW.name)


def submit(cell: Cell, library: Library, *names: str) -> None:
    lane = FAST | {"placements": [["m1", 0, 0]]}
    cell.call("submit", library, nonce="n", lanes=[lane], jobs=[a_job(name) for name in names])


def claim(cell: Cell, library: Library, nonce: str) -> list[dict[str, Any]]:
    reply = cell.call("claim", library, **of("m1", credits=1, nonce=nonce, park=False))
    return [{"id": job[0], "token": job[1]} for job in reply["jobs"]]


def record(cell: Cell, name: str) -> list[Any]:
    found: list[Any] = msgspec.msgpack.decode(ask(cell.server, "HGET", cell.keys["jobs"], name))
    return found


def test_what_the_old_one_submits_the_new_one_runs_and_the_old_one_completes(both: Cell) -> None:
    submit(both, OLD, "a")
    held = claim(both, NEW, "c1")
    assert both.call("renew", OLD, **of("m1", jobs=held))["lost"] == []
    assert both.call("complete", OLD, **of("m1", jobs=[held[0] | {"result": "{}"}]))["jobs"] == [["a", "ok"]]
    assert both.call("complete", NEW, **of("m1", jobs=[held[0] | {"result": "{}"}]))["jobs"] == [["a", "replayed"]]
    assert_counters(both, live=0, submitted=1, succeeded=1)


def test_the_old_one_writes_back_the_field_that_only_the_new_one_knows(both: Cell) -> None:
    submit(both, NEW, "a", "b")
    assert record(both, "a")[FIELDS:] == [4711]
    held = claim(both, OLD, "c1")
    assert record(both, held[0]["id"])[FIELDS:] == [4711]
    failure = {"code": "E", "message": "m", "retryable": True, "jitter": 0}
    both.call("fail", OLD, **of("m1", jobs=[held[0] | failure]))
    both.call("reprioritise", OLD, jobs=["a", "b"], priority=9)
    both.now_ms += 10_000
    both.call("tick", OLD, nonce="t", budget=500)
    both.call("cancel", OLD, jobs=["b"], because="enough")
    assert record(both, "a")[FIELDS:] == [4711]
    assert record(both, "b")[FIELDS:] == [4711]


def test_the_new_one_reads_records_that_lack_its_field(both: Cell) -> None:
    submit(both, OLD, "a")
    assert record(both, "a")[FIELDS:] == []
    held = claim(both, NEW, "c1")
    both.call("release", NEW, **of("m1", nonce="r", because="shutdown", jobs=held))
    assert claim(both, OLD, "c2")[0]["id"] == "a"


def test_the_types_of_this_version_read_a_record_of_the_next(both: Cell) -> None:
    submit(both, NEW, "a")
    assert msgspec.convert(record(both, "a"), JobRecord).status == "queued"


def test_a_whole_shift_of_both_versions_leaves_counters_and_events_whole(both: Cell) -> None:
    names = [f"j{n}" for n in range(12)]
    for at, name in enumerate(names):
        submit(both, (OLD, NEW)[at % 2], name)
    for at in range(len(names)):
        held = claim(both, (NEW, OLD)[at // 2 % 2], f"c{at}")
        both.call("complete", (OLD, NEW)[at // 3 % 2], **of("m1", jobs=[held[0] | {"result": "{}"}]))
    assert_counters(both, live=0, submitted=12, succeeded=12)
    ids = [event for event, _ in ask(both.server, "XRANGE", both.keys["events"], "-", "+")]
    assert ids == [f"1-{number}".encode() for number in range(1, len(ids) + 1)]


def assert_counters(cell: Cell, **expected: int) -> None:
    """Both versions count alike, and as expected; nothing is left in the indexes of what waits or runs."""
    for library in (OLD, NEW):
        counts = cell.call("statistics", library, lanes=0, after="")["counts"]
        assert {name: counts[name] for name in expected} == expected
        assert [counts[f"{name}_size"] for name in ("waiting", "leases", "delayed")] == [0, 0, 0]


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.function != "open_cell"], ids=str)
def test_a_cell_of_another_schema_is_refused_untouched(cell: Cell, scenario: Scenario) -> None:
    furnished = scenario.prepare(cell)
    request = scenario.request(furnished)
    identity = msgspec.msgpack.decode(ask(cell.server, "HGET", cell.keys["meta"], "identity"))
    ask(cell.server, "HSET", cell.keys["meta"], "identity", msgspec.msgpack.encode(identity | {"schema": 2}))
    before = cell.state()
    with pytest.raises(Refusal, match=r"^NS_SCHEMA_UNSUPPORTED cell=2 library=1$"):
        cell.call(scenario.function, **request)
    assert cell.state() == before


def test_a_cell_of_another_schema_cannot_be_opened(server: Valkey, cell: Cell) -> None:
    newer = next_version(schema=2)
    load(server, newer)
    cell.library = newer
    cell.open()
    before, cell.library = cell.state(), OLD
    with pytest.raises(Refusal, match=r"^NS_SCHEMA_UNSUPPORTED cell=2 library=1$"):
        cell.open()
    assert cell.state() == before
    ask(server, "FUNCTION", "DELETE", newer.name)


@pytest_asyncio.fixture(params=["valkey", pytest.param("redis7", marks=pytest.mark.redis7)])
async def replaced(request: pytest.FixtureRequest) -> Any:
    """A furnished server on which somebody replaces the library under our feet."""
    async with private_server(request.param) as (client, _):
        yield client


def test_every_call_is_refused_once_the_library_was_changed_under_a_running_process(replaced: Valkey) -> None:
    cells = [(scenario, Cell(replaced)) for scenario in SCENARIOS]
    requests = [(scenario, cell, scenario.request(scenario.prepare(cell))) for scenario, cell in cells]
    other = same_name_other_code()
    load(replaced, other)
    for scenario, cell, request in requests:
        before = cell.state()
        with pytest.raises(Refusal, match=rf"^NS_LIBRARY_CHANGED caller={OLD.digest} loaded={other.digest}$"):
            cell.call(scenario.function, **request)
        assert cell.state() == before
