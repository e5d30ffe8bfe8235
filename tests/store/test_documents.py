"""Documents as processes read them: whole, by kind, and again only when something has changed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
import structlog

from northstar.domain.limits import CellLimits
from northstar.domain.refusals import DocumentChanged, DocumentsTooLarge, DocumentTooLarge, TooManyDocuments
from northstar.store.documents import (
    Document,
    DocumentsView,
    DocumentUnreadable,
    NamedDocument,
    WantedDocument,
    drop_documents,
    put_documents,
    read_document,
    read_documents,
)
from tests.agent.rig import Rig
from tests.servers import RunningServer


@pytest_asyncio.fixture
async def rig(valkey_server: RunningServer) -> AsyncIterator[Rig]:
    async with Rig(valkey_server.url) as opened:
        yield opened


async def put(rig: Rig, name: str, body: str, *, kind: str = "model", expected: int | None = None) -> int:
    wanted = WantedDocument(kind=kind, name=name, body=body, expected=expected)
    ((version, _),) = (await put_documents(rig.cell, [wanted], by="ann")).documents
    return version


def size_of(document: Document) -> int:
    return msgspec.json.decode(document.body, type=int)


def view_of(rig: Rig) -> DocumentsView[int]:
    return DocumentsView(rig.cell.client, rig.cell.keys, "model", decode=size_of)


async def test_a_cell_without_documents_has_none(rig: Rig) -> None:
    assert await read_documents(rig.cell.client, rig.cell.keys, "model") == {}
    assert await read_document(rig.cell.client, rig.cell.keys, "model", "a") is None
    assert (await drop_documents(rig.cell, [NamedDocument(kind="model", name="a")], by="ann")).dropped == [False]


async def test_documents_are_read_by_kind_and_by_name(rig: Rig) -> None:
    await put(rig, "a/ü.safetensors", "1")
    await put(rig, "current", "2", kind="pools")
    found = await read_documents(rig.cell.client, rig.cell.keys, "model")
    (document,) = found.values()
    assert (document.kind, document.name, document.version, document.body, document.by) == (
        ("model", "a/ü.safetensors", 1, "1", "ann")
    )
    assert await read_document(rig.cell.client, rig.cell.keys, "model", "a/ü.safetensors") == document
    assert await read_document(rig.cell.client, rig.cell.keys, "pools", "a/ü.safetensors") is None


async def test_one_document_that_this_version_cannot_read_is_not_taken_for_none(rig: Rig) -> None:
    await rig.cell.client.execute_command("HSET", rig.cell.keys["documents"], "pools\0current", b"\xc1")
    with pytest.raises(DocumentUnreadable, match="document pools current of the cell cannot be read"):
        await read_document(rig.cell.client, rig.cell.keys, "pools", "current")


async def test_a_change_of_what_was_changed_meanwhile_is_an_error_with_what_to_do(rig: Rig) -> None:
    version = await put(rig, "a", "1")
    await put(rig, "a", "2")
    with pytest.raises(DocumentChanged, match=r"model a has changed since it was read: it was version 1 and is 2 now"):
        await put(rig, "a", "3", expected=version)


async def test_what_is_more_than_may_be_kept_is_an_error_with_what_to_do(valkey_server: RunningServer) -> None:
    async with Rig(valkey_server.url, limits=CellLimits(max_documents=1, max_documents_bytes=65_536)) as rig:
        await put(rig, "a", "1")
        with pytest.raises(TooManyDocuments, match=r"more than 1 document \(.*remove some or raise max_documents$"):
            await put(rig, "b", "1")
        with pytest.raises(
            DocumentTooLarge, match=r"^model a takes 65,537 bytes \(65.5 kB\), more than the 65,536 bytes"
        ):
            await put(rig, "a", "1" * 65_537)
    async with Rig(valkey_server.url, limits=CellLimits(max_documents_bytes=65_536)) as rig:
        await put(rig, "a", "1" * 60_000)
        with pytest.raises(
            DocumentsTooLarge, match=r"more than 65,536 bytes \(65.5 kB\) in all.*or raise max_documents_bytes$"
        ):
            await put(rig, "b", "1" * 60_000)


async def test_a_view_reads_again_only_when_something_of_its_kind_has_changed(rig: Rig) -> None:
    view = view_of(rig)
    assert await view.refresh()
    assert not await view.refresh()
    await put(rig, "a", "1")
    assert await view.refresh()
    assert view.values == {"a": 1}
    before = view.values
    await put(rig, "b", "2", kind="pools")
    assert not await view.refresh()
    assert view.values is before
    await drop_documents(rig.cell, [NamedDocument(kind="model", name="a")], by="ann")
    assert await view.refresh()
    assert (view.values, before) == ({}, {"a": 1})


async def test_what_stayed_the_same_is_not_decoded_again(rig: Rig) -> None:
    decoded: list[str] = []

    def decode(document: Document) -> str:
        decoded.append(document.name)
        return document.body

    view = DocumentsView(rig.cell.client, rig.cell.keys, "model", decode=decode)
    for name in ("a", "b"):
        await put(rig, name, "1")
    await view.refresh()
    await put(rig, "b", "2")
    await view.refresh()
    assert sorted(decoded) == ["a", "b", "b"]
    assert view.values == {"a": "1", "b": "2"}


async def test_a_document_that_cannot_be_read_is_left_out_and_named(rig: Rig) -> None:
    for name, body in (("good", "1"), ("bad", '"many"')):
        await put(rig, name, body)
    await rig.cell.client.execute_command("HSET", rig.cell.keys["documents"], "model\0torn", b"\xc1")
    view = view_of(rig)
    with structlog.testing.capture_logs() as logs:
        await view.refresh()
    assert view.values == {"good": 1}
    assert sorted(line["field"] for line in logs) == ["bad", "torn"]


async def test_a_view_of_thousands_is_read_whole(rig: Rig) -> None:
    wanted = [WantedDocument(kind="model", name=f"m{n}", body=str(n)) for n in range(3_000)]
    for first in range(0, len(wanted), 100):
        await put_documents(rig.cell, wanted[first : first + 100], by="ann")
    view = view_of(rig)
    assert await view.refresh()
    assert view.values == {f"m{n}": n for n in range(3_000)}
