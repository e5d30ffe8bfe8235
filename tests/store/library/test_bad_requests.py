"""Whatever a caller sends: a refusal by name and an untouched cell, or a request that is well formed."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from valkey import Valkey

from northstar.domain.refusals import REFUSALS
from northstar.store.function_library import build
from tests.store.library.conftest import connect_to
from tests.store.library.rig import Cell, Refusal, Untouched, ask, load, writes_of
from tests.store.library.scenarios import SCENARIOS, Scenario, furnish

FUNCTIONS = sorted(build().functions)
FULLEST: dict[str, Scenario] = {}
for _scenario in SCENARIOS:  # of each function, the call with the most in it
    if not _scenario.fresh and _scenario.before is None:
        FULLEST.setdefault(_scenario.function, _scenario)
FULLEST["submit"] = next(s for s in SCENARIOS if str(s) == "submit-new-lane-handed-over")
FULLEST["register_machine"] = next(s for s in SCENARIOS if str(s) == "register_machine-by-a-token")
FULLEST["claim"] = next(s for s in SCENARIOS if str(s) == "claim-with-candidates")

#: What may be left out, or be null.
OPTIONAL = {
    "admitted_by", "bodies", "candidates", "configure", "decision", "decisions", "description", "expected", "facts", "holder", "lost",
    "node_set", "park", "report", "results", "slots", "vram_mb", "withdraw",
}  # fmt: skip
LONG = "x" * 70_000
GARBAGE: list[Any] = [
    None, True, False, -1, 0, 1.5, 1e308, -1e308, math.nan, math.inf, 2**60, "", " ", "a\0b", "1e3", "-1", LONG, [], {}, [None], [[]],
    [{}], {"a": {"b": []}}, [1, "2", None], b"\xff\xfe",
]  # fmt: skip
Path = tuple[Any, ...]


class Bench:
    """A furnished cell, made again from its copy after a request was accepted."""

    def __init__(self, server: Valkey) -> None:
        self.server = server
        self._furnished = furnish(Cell(server))
        self.cell = self._furnished.cell
        self.copy = self.cell.dump()
        self._good = {function: scenario.request(self._furnished) for function, scenario in FULLEST.items()}
        self.untouched = Untouched(self.cell)

    def good(self, function: str) -> Any:
        """A request that the function accepts; the caller's to spoil."""
        return copy.deepcopy(self._good[function])

    def refusal_of(self, function: str, request: bytes) -> str | None:
        """The refusal's name, the cell untouched; or None when the request was accepted."""
        try:
            self.cell.raw(function, request)
        except Refusal as refusal:
            named = refusal
        else:
            self.cell.restore(self.copy)
            return None
        untouched = self.untouched.holds()
        if not untouched:
            self.cell.restore(self.copy)
        assert untouched
        assert named.code in REFUSALS.keys() - {"NS_LIBRARY_FAULT"}, named
        return named.code


@pytest.fixture(scope="module")
def bench(server: Valkey) -> Bench:
    return Bench(server)


@pytest.fixture(scope="module", params=["valkey", pytest.param("redis7", marks=[pytest.mark.redis7, pytest.mark.long])])
def fuzzed(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """As `bench`; the short profile fuzzes one server, because both carry the same Lua and the same msgpack."""
    with connect_to(request.getfixturevalue(f"{request.param}_server")) as client:
        load(client, build())
        yield Bench(client)


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a request, the request itself left out."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*at, key)
        yield from paths(inner, (*at, key))


def look_up(request: Any, path: Path) -> Any:
    for step in path:
        request = request[step]
    return request


def replaced(request: Any, path: Path, value: Any) -> Any:
    look_up(request, path[:-1])[path[-1]] = value
    return request


def _is_empty(value: Any) -> bool:
    """Once unpacked, an empty list, an empty map and a map of nulls are the same."""
    return value == [] or (isinstance(value, dict) and all(inner is None for inner in value.values()))


def may_be_null(request: Any, path: Path) -> bool:
    """Null is nothing to Lua: a field left out, or, at the end of a list, a shorter list."""
    return path[-1] in OPTIONAL or path[-1] == len(look_up(request, path[:-1])) - 1


def is_like(before: Any, after: Any) -> bool:
    """Whether `after` may stand where `before` stood: of its kind, and no absurd number."""
    if isinstance(before, bool) or isinstance(after, bool):
        return isinstance(before, bool) and isinstance(after, bool)
    if isinstance(before, (int, float)):
        return isinstance(after, (int, float)) and math.isfinite(after) and after >= 0
    if isinstance(before, (list, dict)):
        return isinstance(after, type(before)) or _is_empty(after)
    return isinstance(after, (str, bytes))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_field_of_a_wrong_kind_is_never_accepted(fuzzed: Bench, function: str) -> None:
    good = fuzzed.good(function)
    for path in paths(good):
        before = look_up(good, path)
        for garbage in GARBAGE:
            request = fuzzed.good(function)
            code = fuzzed.refusal_of(function, msgspec.msgpack.encode(replaced(request, path, garbage)))
            if code is None and not (garbage is None and may_be_null(good, path)):
                assert is_like(before, garbage), f"{path} = {garbage!r} was accepted"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_missing_field_is_refused_by_its_name(bench: Bench, function: str) -> None:
    good = bench.good(function)
    for path in [path for path in paths(good) if isinstance(path[-1], str) and path[-1] not in OPTIONAL]:
        request = bench.good(function)
        del look_up(request, path[:-1])[path[-1]]
        if "limits" in path[:-1] or path[-1] in build().functions:
            continue
        with pytest.raises(Refusal, match=rf"NS_BAD_ARGUMENT field=(\w+\.)*{path[-1]} want="):
            bench.cell.raw(function, msgspec.msgpack.encode(request))
        assert bench.untouched.holds()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_fields_that_nobody_knows_are_left_alone(bench: Bench, function: str) -> None:
    """So that a newer caller may say more."""
    request = bench.good(function)
    assert bench.refusal_of(function, msgspec.msgpack.encode(request | {"since_version_9": {"deep": [1]}})) is None


_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
_anything = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


@pytest.mark.parametrize("function", FUNCTIONS)
@given(data=st.data())
def test_any_value_in_any_place_is_refused_by_name_or_well_formed(
    fuzzed: Bench, function: str, data: st.DataObject
) -> None:
    request = fuzzed.good(function)
    path = data.draw(st.sampled_from(list(paths(request))))
    before, after, null_allowed = look_up(request, path), data.draw(_anything), may_be_null(request, path)
    code = fuzzed.refusal_of(function, msgspec.msgpack.encode(replaced(request, path, after)))
    assert code is not None or is_like(before, after) or (after is None and null_allowed)


@pytest.mark.parametrize("function", FUNCTIONS)
@given(request=_anything)
def test_any_other_request_is_a_bad_argument(fuzzed: Bench, function: str, request: Any) -> None:
    good = fuzzed.good(function)
    assume(
        not (isinstance(request, dict) and good.keys() <= request.keys())
    )  # chance has named all fields: no other request
    assert fuzzed.refusal_of(function, msgspec.msgpack.encode(request)) == "NS_BAD_ARGUMENT"


@pytest.mark.parametrize("function", FUNCTIONS)
@given(request=st.binary(max_size=60))
def test_bytes_that_are_no_request_are_a_bad_argument(fuzzed: Bench, function: str, request: bytes) -> None:
    assert fuzzed.refusal_of(function, request) == "NS_BAD_ARGUMENT"


@pytest.mark.parametrize(
    "request_", [b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x81\xc0\x01", b"\xc1", b""]
)
def test_hostile_msgpack_is_a_bad_argument(bench: Bench, request_: bytes) -> None:
    assert bench.refusal_of("submit", request_) == "NS_BAD_ARGUMENT"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_wrong_number_of_keys_is_refused(cell: Cell, function: str) -> None:
    cell.open()
    spec, before = build().functions[function], cell.state()
    keys = [*cell.keys.of(spec.keys), f"ns:{{{cell.name}}}:more".encode()]
    for given_keys in (keys, keys[:-2]):
        command = "FCALL_RO" if spec.reads_only else "FCALL"
        with pytest.raises(Exception, match=rf"^NS_KEYS_MISMATCH want={len(spec.keys)} got={len(given_keys)}$"):
            ask(cell.server, command, spec.server_name, len(given_keys), *given_keys, build().digest, "1", b"\x80")
    assert cell.state() == before


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "open_cell"])
def test_a_cell_that_was_never_opened_is_missing(cell: Cell, function: str) -> None:
    with pytest.raises(Refusal, match=rf"^NS_CELL_MISSING key=ns:\{{{cell.name}\}}:meta$"):
        cell.raw(function, b"\x80")
    assert cell.state() == {}


@pytest.mark.parametrize("now", ["", "x", "-1", "nan", "inf", "1e99", "8640000000001", "\0"])
def test_a_virtual_cell_takes_a_time_and_nothing_else(cell: Cell, now: str) -> None:
    cell.open()
    spec, before = build().functions["statistics"], cell.state()
    with pytest.raises(Exception, match=r"^NS_CLOCK_ARGUMENT clock=virtual$"):
        ask(
            cell.server,
            "FCALL",
            spec.server_name,
            len(spec.keys),
            *cell.keys.of(spec.keys),
            build().digest,
            now,
            b"\x80",
        )
    assert cell.state() == before


def test_a_live_cell_takes_no_time_from_its_callers(server: Valkey) -> None:
    cell = Cell(server, clock="live")
    cell.open()
    cell.clock = "virtual"  # from now on the caller sends its own time
    with pytest.raises(Refusal, match=r"^NS_CLOCK_ARGUMENT clock=live$"):
        cell.call("pause", scope="cell", because="x", by="y")
    cell.forget()


def test_a_change_does_not_go_unnoticed(server: Valkey) -> None:
    """What the tests above call untouched: not even a change that is taken back and leaves everything as it was."""
    bench = Bench(server)
    assert bench.untouched.holds()
    for name in bench.cell.state():
        ask(server, "DEL", bench.cell.keys[name])
        assert not bench.untouched.holds(), name
        bench.cell.restore(bench.copy)
        assert bench.untouched.holds(), name
    for function, spec in build().functions.items():
        before = writes_of(server)
        bench.cell.raw(function, msgspec.msgpack.encode(bench.good(function)))
        assert (writes_of(server) == before) == spec.reads_only, function
        bench.cell.restore(bench.copy)
    bench.cell.forget()
