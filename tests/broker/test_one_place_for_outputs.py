"""All brokers of a cell keep outputs in one place: who would make it two is refused, and a place may be changed by all together."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.assembly.serve import running_serve
from northstar.config import Settings, load
from northstar.store.asset_errors import OutputsElsewhere
from northstar.store.brokers import Broker, read_brokers, with_other_outputs
from northstar.store.cell import Cell
from northstar.store.library_loader import announce
from northstar.surfaces.http.server import open_door
from tests.servers import RunningServer


def settings(server: RunningServer, folder: Path, *, outputs: Path, cell: str) -> Settings:
    options = {
        "valkey.url": server.url,
        "cell": cell,
        "data_dir": str(folder),
        "assets.url": str(outputs),
        "history.url": f"sqlite:///{outputs.parent}/history.db",
        "serve.host": "127.0.0.1",
        "serve.port": 0,
    }
    return load(environment={}, options=options)


async def brokers_of(server: RunningServer, cell: str) -> list[Broker]:
    async with server.client() as client:
        return await read_brokers(Cell(client, cell))


async def test_a_second_place_is_refused_with_the_first_and_who_has_it(
    broker_server: RunningServer, tmp_path: Path
) -> None:
    first = settings(broker_server, tmp_path / "a", outputs=tmp_path / "one", cell="place-a")
    other = settings(broker_server, tmp_path / "b", outputs=tmp_path / "two", cell="place-a")
    async with running_serve(first, open_door=open_door):
        (known,) = await brokers_of(broker_server, "place-a")
        assert (known.kind, known.outputs) == ("serve", f"file://{tmp_path}/one")
        with pytest.raises(OutputsElsewhere) as refused:
            async with running_serve(other, open_door=open_door):
                pass
        assert refused.value.code == "NS_OUTPUTS_ELSEWHERE"
        assert f"go to file://{tmp_path}/one (said serve on {known.host})" in str(refused.value)
        assert "set assets.url to the first" in str(refused.value)
        # Whoever was refused is in nobody's way.
        assert await brokers_of(broker_server, "place-a") == [known]


async def test_brokers_with_one_place_stand_beside_each_other(broker_server: RunningServer, tmp_path: Path) -> None:
    first = settings(broker_server, tmp_path / "a", outputs=tmp_path / "one", cell="place-b")
    second = settings(broker_server, tmp_path / "b", outputs=tmp_path / "one", cell="place-b")
    async with running_serve(first, open_door=open_door), running_serve(second, open_door=open_door):
        assert len(await brokers_of(broker_server, "place-b")) == 2
    assert await brokers_of(broker_server, "place-b") == []


async def test_when_all_have_stopped_the_place_may_be_another(broker_server: RunningServer, tmp_path: Path) -> None:
    for outputs in ("one", "two"):
        wanted = settings(broker_server, tmp_path / "a", outputs=tmp_path / outputs, cell="place-c")
        async with running_serve(wanted, open_door=open_door):
            (known,) = await brokers_of(broker_server, "place-c")
            assert known.outputs == f"file://{tmp_path}/{outputs}"


async def test_brokers_of_other_cells_and_of_older_versions_do_not_count(
    broker_server: RunningServer, tmp_path: Path
) -> None:
    async with broker_server.client() as client:
        await announce(client, process="serve:0123abcd", version=1)
    here = settings(broker_server, tmp_path / "a", outputs=tmp_path / "one", cell="place-d")
    there = settings(broker_server, tmp_path / "b", outputs=tmp_path / "two", cell="place-e")
    async with running_serve(here, open_door=open_door), running_serve(there, open_door=open_door):
        assert [known.cell for known in await brokers_of(broker_server, "place-d")] == ["place-d"]


def test_what_a_killed_up_left_on_its_own_server_does_not_count() -> None:
    mine = Broker(kind="up", id="a", cell="c", host="h", outputs="file:///new")
    left = Broker(kind="up", id="b", cell="c", host="h", outputs="file:///old")
    beside = Broker(kind="serve", id="d", cell="c", host="k", outputs="file:///old")
    assert with_other_outputs([mine, left], mine, alone=True) is None
    assert with_other_outputs([mine, left], mine, alone=False) == left
    assert with_other_outputs([mine, left, beside], mine, alone=True) == beside
