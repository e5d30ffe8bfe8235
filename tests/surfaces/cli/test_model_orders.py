"""Orders about models from the command line: what was asked, what became of it, and why not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest

from northstar.store.cell import Cell
from northstar.store.valkey import connect
from tests.northstar_command import Northstar

MODEL = "a.safetensors"
FROM = ("--from", "https://models.invalid/a.safetensors", "--sha256", "unknown")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Northstar]:
    northstar = Northstar(tmp_path_factory.mktemp("orders"), settings="[limits]\nalive_ms = 600_000\n")
    with northstar.up("--no-machines"):
        asyncio.run(machine(northstar, "far", answer=False))
        yield northstar


async def machine(northstar: Northstar, name: str, *, answer: bool) -> None:
    """A machine that is registered; then, if it is to, it says of the first order that it gets that it cannot do it."""
    place = json.loads((northstar.data_dir / "run.json").read_text())
    client = connect(place["url"])
    try:
        cell = Cell(client, place["cell"])
        if not answer:
            await cell.register_machine(
                machine=name, session="s", profile="{}", fits=[], slots=1, vram_mb=0, holder="test",
                description="{}", words=[], nonce="n",
            )  # fmt: skip
            return
        async with asyncio.timeout(30):
            while not (orders := await cell.pending_orders(name)):
                await asyncio.sleep(0.02)
        ended = {"machine": name, "session": "s", "order": orders[0].id, "outcome": "failed"}
        said = {"code": "NS_MODEL_WRONG_HASH", "message": "it is another file"}
        await cell.call("order_ended", ended | said, dict[str, int])
    finally:
        await client.aclose()


def test_an_order_that_fails_is_the_exit_code_and_is_still_told_later(running: Northstar) -> None:
    answering = threading.Thread(target=lambda: asyncio.run(machine(running, "far", answer=True)))
    answering.start()
    answer = running.run("machines", "fetch", "far", MODEL, *FROM, "--wait", "--timeout", "30")
    answering.join()
    assert (answer.code, answer.out) == (1, "")
    named, why = answer.err.splitlines()
    (ended,) = running.good("machines", "orders", "far", "--all")["ended"]
    assert (ended["what"], ended["model"], ended["outcome"]) == ("fetch", MODEL, "failed")
    assert (ended["code"], ended["message"]) == ("NS_MODEL_WRONG_HASH", "it is another file")
    assert named == f"waiting for far  fetch {MODEL} ({ended['order']})"
    assert why == f"NS_MODEL_WRONG_HASH: far  fetch {MODEL}: it is another file ({ended['order']})"
    shown = " ".join(running.run("machines", "orders", "far", "--all").out.split())
    assert "NS_MODEL_WRONG_HASH" in shown
    assert "--all shows those that have ended" in running.run("machines", "orders", "far").out


def test_an_order_that_nobody_could_carry_out_is_not_given(running: Northstar) -> None:
    for asked in (("../x.safetensors", *FROM), (MODEL, "--from", "gopher://h/a", "--sha256", "unknown")):
        answer = running.run("machines", "fetch", "far", *asked)
        assert (answer.code, answer.err.partition(":")[0]) == (2, "NS_MODEL_ORDER_INVALID")
    assert running.good("machines", "orders", "far")["orders"] == []


def test_of_a_machine_that_was_never_here_it_is_said(running: Northstar) -> None:
    answer = running.run("machines", "orders", "nowhere", "--all")
    assert (answer.code, answer.err.partition(":")[0]) == (3, "NS_NO_SUCH_MACHINE")
