"""Lists of node classes: kept as long as a profile names them, and bounded."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.domain.refusals import refusal
from tests.store.library.rig import Cell, Refusal, ask
from tests.store.library.scenarios import DAY_MS, DIGEST, a_machine, of

OTHER = "f" * 16


@pytest.fixture
def opened(cell: Cell) -> Cell:
    cell.open()
    return cell


def register(cell: Cell, name: str, *, profile: str = "one", node_set: str = DIGEST) -> bool:
    fields: dict[str, Any] = {"profile": profile, "node_set": node_set, "words": []}
    return bool(cell.call("register_machine", **a_machine(name, **fields))["node_set_wanted"])


def tell(cell: Cell, name: str, node_set: str = DIGEST) -> bool:
    return bool(cell.call("tell_node_set", **of(name, node_set=node_set, packed="packed"))["kept"])


def kept(cell: Cell) -> set[str]:
    return {field.decode() for field in ask(cell.server, "HKEYS", cell.keys["node_sets"])}


def leave(cell: Cell, name: str) -> None:
    cell.call("remove_machine", machine=name, because="gone", lost=False, nonce="rm")


def test_a_list_is_wanted_until_somebody_has_told_it(opened: Cell) -> None:
    assert register(opened, "m1")
    assert tell(opened, "m1")
    assert not register(opened, "m2")
    assert not tell(opened, "m2")


def test_a_machine_whose_profile_names_no_list_is_asked_for_none(opened: Cell) -> None:
    assert opened.call("register_machine", **a_machine("m1"))["node_set_wanted"] is False


def test_a_list_goes_with_the_last_profile_that_names_it(opened: Cell) -> None:
    register(opened, "m1")
    tell(opened, "m1")
    register(opened, "m2", profile="two")
    leave(opened, "m1")
    opened.now_ms += 8 * DAY_MS
    opened.call("register_machine", **a_machine("m2", profile="two", node_set=DIGEST, words=[], session="new"))
    opened.call("tick", nonce="t", budget=500)
    assert kept(opened) == {DIGEST, f"p{DIGEST}"}
    leave(opened, "m2")
    opened.now_ms += 8 * DAY_MS
    opened.call("tick", nonce="t", budget=500)
    assert kept(opened) == set()


def test_a_list_that_the_profile_does_not_name_is_refused(opened: Cell) -> None:
    register(opened, "m1")
    with pytest.raises(Refusal, match="NS_NODE_SET_NOT_NAMED machine=m1 node_set=ffff"):
        tell(opened, "m1", OTHER)


def test_lists_have_an_end(opened: Cell) -> None:
    fields = [
        word for number in range(128) for word in (f"{number:016x}", "packed", f"p{number:016x}", b"\x91\xa6000009")
    ]
    ask(opened.server, "HSET", opened.keys["node_sets"], *fields)
    register(opened, "m1", node_set=OTHER)
    with pytest.raises(Refusal, match="NS_TOO_MANY_NODE_SETS limit=128"):
        tell(opened, "m1", OTHER)


def test_the_refusals_say_what_to_do() -> None:
    assert str(refusal("NS_TOO_MANY_NODE_SETS", {"limit": "128"})) == (
        "the cell keeps 128 different lists of node classes, as many as it may; machines of one image should have the same "
        "node packs, and a list goes a week after its last machine"
    )
    assert str(refusal("NS_NODE_SET_NOT_NAMED", {"machine": "m1", "node_set": OTHER})) == (
        f"machine m1 has told the node classes {OTHER}, which its profile does not name; register first"
    )
