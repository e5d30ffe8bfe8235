"""A broker that cannot start changes nothing, and one that starts says truly where it listens."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from northstar.assembly import broker, routing
from northstar.assembly.listening import AddressUnavailable, TlsFilesUnusable
from northstar.assembly.serve import running_serve
from northstar.broker.deployment import Deployer
from northstar.broker.dispatch import Dispatcher
from northstar.broker.rerouting import Rerouter
from northstar.config import ServeSettings, Settings, load
from northstar.store.cell import Cell
from northstar.store.history import read_bond
from northstar.surfaces.cli.broker_lines import broker_lines
from northstar.surfaces.http.server import open_door
from tests.servers import RunningServer


def settings(server: RunningServer, folder: Path, cell: str, **serve: object) -> Settings:
    options = {"valkey.url": server.url, "cell": cell, "data_dir": str(folder)}
    loaded = load(environment={}, options=options)
    return msgspec.structs.replace(loaded, serve=msgspec.structs.replace(loaded.serve, host="127.0.0.1", **serve))


def listening_at(host: str, **more: str) -> ServeSettings:
    return msgspec.structs.replace(load(environment={}, options={"data_dir": "/x"}).serve, host=host, **more)


async def has_history(server: RunningServer, cell: str) -> bool:
    async with server.client() as client:
        return await read_bond(Cell(client, cell)) is not None


async def test_a_port_in_use_leaves_the_history_of_the_cell_as_it_was(
    broker_server: RunningServer, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = settings(broker_server, tmp_path, "start-a", port=taken.getsockname()[1])
        with pytest.raises(AddressUnavailable, match="it is in use"):
            async with running_serve(wanted, open_door=open_door):
                pass
    assert not list(tmp_path.iterdir())
    # The next one, of another host with a history of its own, finds a cell that has none.
    async with running_serve(settings(broker_server, tmp_path / "b", "start-a", port=0), open_door=open_door):
        assert await has_history(broker_server, "start-a")


async def test_a_certificate_that_is_none_is_named_before_anything_is_changed(
    broker_server: RunningServer, tmp_path: Path
) -> None:
    files = {"tls_certificate": str(tmp_path / "absent.pem"), "tls_key": ""}
    with pytest.raises(TlsFilesUnusable, match=r"absent\.pem: No such file"):
        async with running_serve(settings(broker_server, tmp_path, "start-c", port=0, **files), open_door=open_door):
            pass
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with pytest.raises(TlsFilesUnusable, match=r"broken\.pem"):
        async with running_serve(
            settings(broker_server, tmp_path, "start-c", port=0, tls_certificate=str(broken)), open_door=open_door
        ):
            pass


@pytest.mark.parametrize(
    ("host", "url", "said"),
    [
        ("0.0.0.0", "http://127.0.0.1:7", "http://0.0.0.0:7, where machines dial: any address of this host"),
        ("::", "http://[::1]:7", "http://[::]:7, where machines dial: any address of this host"),
        ("10.0.0.7", "http://10.0.0.7:7", "http://10.0.0.7:7, where machines dial"),
    ],
)
def test_a_broker_that_others_reach_without_tls_says_so(host: str, url: str, said: str) -> None:
    (_, line), _, (label, warning) = broker_lines(url, listening_at(host))
    assert (line, label) == (said, "warning")
    assert "no TLS" in warning
    assert len(list(broker_lines(url, listening_at(host, tls_certificate="c", tls_key="k")))) == 2


def test_a_broker_of_this_host_alone_needs_no_warning() -> None:
    assert list(broker_lines("http://127.0.0.1:7", listening_at("127.0.0.1"))) == [
        ("broker", "http://127.0.0.1:7, where machines dial"),
        ("clients", "http://127.0.0.1:7/live for people, /docs for programs; northstar keys add NAME gives a key"),
    ]


async def test_a_broker_that_runs_plans_by_its_pools_and_brings_models_to_where_jobs_are_moved(
    broker_server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dispatcher knows which pools prefer machines near their users; its rerouter has somebody who orders models."""
    seen: dict[str, Any] = {}

    class Plans(Dispatcher):
        def __init__(self, *args: Any, **named: Any) -> None:
            seen["terms"] = named["terms"]
            super().__init__(*args, **named)

    class Moves(Rerouter):
        def __init__(self, *args: Any, **named: Any) -> None:
            seen["deployer"] = named["deployer"]
            super().__init__(*args, **named)

    monkeypatch.setattr(broker, "Dispatcher", Plans)
    monkeypatch.setattr(routing, "Rerouter", Moves)
    async with running_serve(settings(broker_server, tmp_path, "start-d", port=0), open_door=open_door):
        assert seen["terms"]().near == {"lightning"}
        assert isinstance(seen["deployer"], Deployer)
