"""A server runs a function without interruption but does not roll back: so nothing may fail between its first and last write.

Two proofs. By trace: in every scenario nothing is read after the first write, the type of every written key was proved before
it, and every write is well formed. By fault: every command up to the first write fails in turn, in three ways, and every key
in turn holds a foreign type; each time the error is reported and the cell is as it was.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

import msgspec
import pytest
from valkey import Valkey

from northstar.store.function_library import build, join, read_sources
from tests.store.library.command_trace import faults_of, first_write
from tests.store.library.instrumented import fault, instrumented, trace_of
from tests.store.library.rig import Cell, Refusal, Untouched, ask, load
from tests.store.library.scenarios import FAST, SCENARIOS, Scenario, a_job, furnish

KINDS = ("raise", "oom", "wrongtype")


def pack(request: Any) -> bytes:
    return msgspec.msgpack.encode(request)


SPOIL = """--[[ spoil: writes what is fine, and then what no command takes.
  KEYS   meta vocabulary deadlines ]]
ns.takes.spoil = { { 'how', ns.TEXT, 20 } }

local ways = {
  score_is_no_number = function(cell) cell:set_score('deadlines', 'job', 0 / 0) end,
  score_is_endless = function(cell) cell:set_score('deadlines', 'job', 1 / 0) end,
  score_is_nothing = function(cell) cell:set_score('deadlines', 'job', nil) end,
  score_is_text = function(cell) cell:set_score('deadlines', 'job', 'soon') end,
  member_is_a_table = function(cell) cell:set_score('deadlines', {}, 1) end,
  member_is_a_flag = function(cell) cell:remove('deadlines', true) end,
  value_is_a_table = function(cell) cell:put('vocabulary', 'word', {}) end,
  value_is_a_flag = function(cell) cell:put('vocabulary', 'word', true) end,
  field_is_a_table = function(cell) cell:put('vocabulary', {}, 'x') end,
  field_to_drop_is_a_table = function(cell) cell:drop('vocabulary', {}) end,
}

function ns.handlers.spoil(cell, request)
  cell:put('vocabulary', 'fine', 'x')
  cell:set_score('deadlines', 'fine', 1)
  ways[request.how](cell)
  return {}
end
"""
WAYS = re.findall(r"^  (\w+) = function", SPOIL, re.MULTILINE)


@pytest.mark.parametrize("how", WAYS)
def test_what_no_command_takes_is_found_before_the_first_write(cell: Cell, how: str) -> None:
    """A fault of our own, then; but not half a change."""
    shared, functions = read_sources(resources.files("northstar.store") / "lua")
    spoiled = join(shared, functions | {"spoil": SPOIL}, version=9002)
    load(cell.server, spoiled)
    cell.open()
    before = cell.state()
    with pytest.raises(Refusal):
        cell.call("spoil", spoiled, how=how)
    assert cell.state() == before


def test_every_function_has_a_scenario() -> None:
    assert {scenario.function for scenario in SCENARIOS} == set(build().functions)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_once_a_write_is_done_no_command_can_fail(cell: Cell, scenario: Scenario) -> None:
    furnished = scenario.prepare(cell)
    cell.call(scenario.function, instrumented(), **scenario.request(furnished))
    trace = trace_of(cell.server)
    assert faults_of(trace) == []
    assert (first_write(trace) > len(trace)) == build().functions[scenario.function].reads_only


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_command_that_fails_up_to_the_first_write_leaves_the_cell_as_it_was(cell: Cell, scenario: Scenario) -> None:
    furnished = scenario.prepare(cell)
    request, untouched = pack(scenario.request(furnished)), Untouched(cell)
    trace = _trace_on_a_twin(cell.server, scenario)
    commands = min(first_write(trace), len(trace))
    assert commands > 1
    for at in range(1, commands + 1):
        for kind in KINDS:
            with pytest.raises(Refusal):
                cell.raw(scenario.function, request, instrumented(), fault(at, kind))
            assert len(trace_of(cell.server)) == at
            assert untouched.holds(), f"command {at}, {kind}: {trace[at - 1][:2]}"


def _trace_on_a_twin(server: Valkey, scenario: Scenario) -> list[list[bytes]]:
    twin = Cell(server)
    twin.raw(scenario.function, pack(scenario.request(scenario.prepare(twin))), instrumented())
    twin.forget()
    return trace_of(server)


def test_the_largest_batch_is_still_written_in_well_formed_commands(cell: Cell) -> None:
    """More values than one command takes are sliced."""
    furnished = furnish(cell)
    lane = FAST | {"placements": []}
    jobs = [
        a_job(f"batch-{n}", start_within_ms=1_000, finish_within_ms=9_000, idempotency_key=f"k{n}") for n in range(500)
    ]
    cell.call("submit", instrumented(), nonce="b", lanes=[lane], jobs=jobs)
    assert faults_of(trace_of(cell.server)) == []
    cell.call("cancel", instrumented(), jobs=[job["id"] for job in jobs], because="x")
    assert faults_of(trace_of(cell.server)) == []
    assert len(furnished.cell.state()["deadlines"]) <= 8  # type: ignore[arg-type]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_key_of_a_foreign_type_is_refused_before_anything_is_written(server: Valkey, scenario: Scenario) -> None:
    twin = Cell(server)
    answer = twin.raw(scenario.function, pack(scenario.request(scenario.prepare(twin))))
    expected = twin.state()
    cell = Cell(server)
    request = pack(scenario.request(scenario.prepare(cell)))
    as_prepared = cell.dump()
    for key in build().functions[scenario.function].keys:
        cell.restore(as_prepared)
        ask(server, "SET", cell.keys[key], "foreign")
        before = cell.state(without=key)
        try:
            given = cell.raw(scenario.function, request)
        except Refusal:
            assert cell.state(without=key) == before, key
        else:
            # Then the function had no use for the key, and did the rest in full.
            assert given == answer, key
            assert cell.state(without=key) == {name: value for name, value in expected.items() if name != key}, key
        assert ask(server, "GET", cell.keys[key]) == b"foreign"
    cell.forget()
    twin.forget()
