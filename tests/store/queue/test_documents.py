"""Documents: what operators declare for all processes, kept whole, with a version and an event for each change."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.store.queue.builders import Shop
from tests.store.queue.calls import Cell, Refused, Reply, Server


def put(cell: Cell, *names: str, body: str = "{}", **more: Any) -> Reply:
    documents = [{"kind": "model", "name": name, "body": body, **more} for name in names]
    return cell.call("put_documents", documents=documents, by="ann")


def drop(cell: Cell, *names: str, **more: Any) -> Reply:
    return cell.call("drop_documents", documents=[{"kind": "model", "name": name, **more} for name in names], by="bob")


def kept(cell: Cell) -> dict[str, list[Any]]:
    fields = cell.node.hgetall(cell.keys["documents"])
    return {field.decode(): msgspec.msgpack.decode(value) for field, value in fields.items()}


def test_a_document_is_kept_with_its_version_who_put_it_and_when(shop: Shop) -> None:
    assert put(shop.cell, "a", "b") == {"version": 2, "documents": [[1, True], [2, True]]}
    now_ms = shop.cell.now_ms
    assert kept(shop.cell) == {
        "model\0a": [1, "{}", "ann", now_ms],
        "model\0b": [2, "{}", "ann", now_ms],
        "state": [2, 2, 4, now_ms],
    }


def test_every_change_is_one_event_that_says_who_made_it(shop: Shop) -> None:
    put(shop.cell, "a")
    drop(shop.cell, "a")
    events = shop.cell.events("model:a")
    assert [(event.kind, event.data) for event in events] == [
        ("document.put", {"kind": "model", "name": "a", "version": 1, "by": "ann"}),
        ("document.dropped", {"kind": "model", "name": "a", "version": 2, "by": "bob"}),
    ]


def test_what_says_the_same_already_stays_as_it_is_whatever_was_expected(shop: Shop) -> None:
    """So that a call may be repeated when its answer was lost."""
    put(shop.cell, "a", expected=0)
    before = kept(shop.cell)
    shop.later(1_000)
    assert put(shop.cell, "a", expected=0) == {"version": 1, "documents": [[1, False]]}
    assert kept(shop.cell) == before
    assert shop.cell.kinds("model:a") == ["document.put"]


def test_whoever_changes_what_was_changed_meanwhile_is_refused_and_told_by_whom(shop: Shop) -> None:
    put(shop.cell, "a", body="1")
    put(shop.cell, "a", body="2", expected=1)
    before = kept(shop.cell)
    with pytest.raises(Refused) as caught:
        put(shop.cell, "b", "a", body="3", expected=1)
    assert caught.value.code == "NS_DOCUMENT_CHANGED"
    assert caught.value.facts == {"kind": "model", "name": "b", "expected": "1", "version": "0", "by": ""}
    with pytest.raises(Refused) as caught:
        drop(shop.cell, "a", expected=1)
    assert caught.value.facts == {"kind": "model", "name": "a", "expected": "1", "version": "2", "by": "ann"}
    assert kept(shop.cell) == before


def test_a_document_that_was_dropped_and_made_anew_is_another_version(shop: Shop) -> None:
    put(shop.cell, "a")
    drop(shop.cell, "a")
    assert put(shop.cell, "a", expected=0)["documents"] == [[3, True]]
    with pytest.raises(Refused, match="NS_DOCUMENT_CHANGED"):
        put(shop.cell, "a", body="[]", expected=1)


def test_what_is_not_there_is_dropped_without_a_word(shop: Shop) -> None:
    put(shop.cell, "a")
    assert drop(shop.cell, "a", "b") == {"version": 2, "dropped": [True, False]}
    assert drop(shop.cell, "a", expected=1) == {"version": 2, "dropped": [False]}
    assert kept(shop.cell) == {"state": [2, 0, 0, shop.cell.now_ms]}


def test_kinds_do_not_share_names(shop: Shop) -> None:
    put(shop.cell, "a")
    shop.cell.call("put_documents", documents=[{"kind": "pools", "name": "a", "body": "[]"}], by="ann")
    drop(shop.cell, "a")
    assert sorted(kept(shop.cell)) == ["pools\0a", "state"]


def test_everybody_hears_of_a_change_and_nobody_of_none(shop: Shop) -> None:
    bell = shop.cell.node.pubsub()
    bell.ssubscribe(shop.cell.keys.bell("tick"))
    assert bell.get_sharded_message(timeout=5) is not None
    put(shop.cell, "a", "b")
    put(shop.cell, "a")
    drop(shop.cell, "c")
    drop(shop.cell, "b")
    heard = [bell.get_sharded_message(timeout=5) for _ in range(2)]
    assert [msgspec.msgpack.decode(message["data"]) for message in heard if message] == [[["documents"]]] * 2
    assert bell.get_sharded_message(timeout=0.05) is None
    bell.close()


def test_documents_are_bounded_in_number_and_in_bytes(server: Server) -> None:
    cell = Shop(Cell(server), max_documents=2, max_documents_bytes=70_000).cell
    put(cell, "a", "b")
    before = kept(cell)
    with pytest.raises(Refused, match=r"^NS_TOO_MANY_DOCUMENTS limit=2$"):
        put(cell, "c")
    with pytest.raises(Refused, match=r"^NS_DOCUMENT_TOO_LARGE kind=model name=a bytes=65537 limit=65536$"):
        put(cell, "a", body="x" * 65_537)
    with pytest.raises(Refused, match=r"^NS_DOCUMENTS_TOO_LARGE limit=70000$"):
        put(cell, "a", "b", body="x" * 36_000)
    with pytest.raises(Refused, match=r"^NS_BAD_ARGUMENT field=request.documents.body want=json$"):
        put(cell, "a", body="")
    assert kept(cell) == before
    drop(cell, "a")
    put(cell, "c", body="x" * 65_536)


def test_what_goes_makes_room_in_the_same_count(shop: Shop) -> None:
    put(shop.cell, "a", body="12345")
    put(shop.cell, "a", body="123")
    assert kept(shop.cell)["state"][:3] == [2, 1, 3]
    drop(shop.cell, "a")
    assert kept(shop.cell)["state"][:3] == [3, 0, 0]
