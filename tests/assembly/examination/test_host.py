"""Faults of a host, provoked: what doctor says of the data directory, the address, the certificate and a restore that broke off."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from northstar.assembly.backups.mark import Mark, write_mark
from northstar.assembly.serve import running_serve
from northstar.config import Settings
from northstar.surfaces.http.server import open_door
from tests import servers
from tests.assembly.examination.conftest import Doctor, with_serve
from tests.broker.gateway.certificates import Authority, Certificate
from tests.connectors.fake_openai import FakeOpenAI

Making = Callable[..., Settings]


async def test_a_fresh_host_has_no_fault_and_nothing_is_made_on_it(doctor: Doctor, tmp_path: Path) -> None:
    found = await doctor()
    assert {finding.verdict for finding in found.values()} <= {"ok", "skipped"}
    assert "northstar up" in found["valkey"].what
    assert list(tmp_path.iterdir()) == []


async def test_a_data_directory_that_is_a_file_is_named(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    found = (await doctor())["data_dir"]
    assert (found.verdict, found.cure) == ("fault", f"mv {tmp_path}/data {tmp_path}/data.old")


async def test_a_place_that_takes_no_files_is_named_with_the_systems_reason(doctor: Doctor) -> None:
    found = (await doctor(data_dir="/proc/northstar"))["data_dir"]
    assert found.verdict == "fault"
    assert "nothing can be written to /proc/northstar" in found.what


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
async def test_a_data_directory_without_rights_is_named(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    found = (await doctor())["data_dir"]
    assert found.verdict == "fault"
    assert "Permission denied" in found.what
    assert found.cure.startswith("chmod u+rwx ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may give folders away")
async def test_a_data_directory_of_another_user_is_named_with_the_command_that_gives_it_back(
    doctor: Doctor, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", 4_321, -1)
    found = (await doctor())["data_dir"]
    assert (found.verdict, found.cure) == ("warning", f"sudo chown -R 4321 {tmp_path}/data")


async def test_a_port_that_another_program_has_is_named(doctor: Doctor, settings: Making) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = (await doctor(settings=with_serve(settings(), port=port)))["listen"]
    assert (found.verdict, found.cure) == ("fault", f"ss -ltnp 'sport = :{port}'")


async def test_another_server_that_speaks_http_is_not_taken_for_a_broker(doctor: Doctor, settings: Making) -> None:
    engine = FakeOpenAI()
    await engine.start()
    try:
        port = int(engine.url.rpartition(":")[2])
        assert (await doctor(settings=with_serve(settings(), port=port)))["listen"].verdict == "fault"
    finally:
        await engine.die()


async def test_a_broker_that_listens_already_is_no_fault(doctor: Doctor, settings: Making) -> None:
    async with servers.embedded_valkey() as server:
        wanted = settings(valkey__url=server.url, cell="here")
        async with running_serve(wanted, open_door=open_door) as running:
            port = int(running.front.url.rpartition(":")[2])
            found = await doctor(settings=with_serve(wanted, port=port))
    assert found["listen"].verdict == "ok"
    assert found["listen"].facts["held_by"] == "northstar"
    assert {finding.verdict for finding in found.values()} <= {"ok", "skipped"}
    assert found["history"].verdict == found["assets"].verdict == found["clock"].verdict == "ok"


async def test_a_broker_of_another_installation_is_a_fault_and_it_is_said_whose(
    doctor: Doctor, settings: Making
) -> None:
    async with servers.embedded_valkey() as server:
        theirs, ours = settings(valkey__url=server.url, cell="theirs"), settings(valkey__url=server.url, cell="ours")
        async with running_serve(theirs, open_door=open_door) as running, running_serve(ours, open_door=open_door):
            port = int(running.front.url.rpartition(":")[2])
            of_another_cell = (await doctor(settings=with_serve(ours, port=port)))["listen"]
            of_nobody_here = (await doctor(settings=with_serve(settings(), port=port)))["listen"]
            cannot_ask = with_serve(settings(valkey__url="valkey://127.0.0.1:1"), port=port)
            cannot_be_told = (await doctor(settings=cannot_ask))["listen"]
    for found in (of_another_cell, of_nobody_here):
        assert (found.verdict, found.facts["held_by"]) == ("fault", "another_northstar")
        assert f"process {os.getpid()} of user " in found.what
    assert (cannot_be_told.verdict, cannot_be_told.facts["held_by"]) == ("warning", "some_northstar")


async def test_an_address_that_this_host_has_not_is_named(doctor: Doctor, settings: Making) -> None:
    found = (await doctor(settings=with_serve(settings(), host="192.0.2.1")))["listen"]
    assert found.verdict == "fault"
    assert "192.0.2.1:0" in found.what


async def tls(doctor: Doctor, settings: Making, made: Certificate) -> tuple[str, str]:
    wanted = with_serve(settings(), tls_certificate=str(made.certificate), tls_key=str(made.key))
    found = (await doctor(settings=wanted))["tls"]
    return found.verdict, found.what


async def test_certificates_are_told_apart_by_what_is_wrong_with_them(
    doctor: Doctor, settings: Making, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    good = authority.certificate("good", host="DNS:localhost", days=90)
    assert await tls(doctor, settings, good) == ("ok", "the certificate is good for 90 more days")
    short = authority.certificate("short", host="DNS:localhost", days=3)
    assert await tls(doctor, settings, short) == (
        "warning",
        "the certificate expires in 3 days: renew it, then restart",
    )
    other = Certificate(good.certificate, short.key)
    verdict, what = await tls(doctor, settings, other)
    assert verdict == "fault"
    assert "mismatch" in what.lower()
    verdict, what = await tls(doctor, settings, Certificate(tmp_path / "absent.crt", good.key))
    assert verdict == "fault"
    assert "absent.crt: No such file" in what
    good.key.chmod(0o644)
    assert await tls(doctor, settings, good) == ("warning", "others on this host can read the key")


async def test_a_certificate_that_has_expired_is_a_fault(doctor: Doctor, settings: Making, tmp_path: Path) -> None:
    made = Authority(tmp_path).certificate("old", host="DNS:localhost", days=-1)
    assert await tls(doctor, settings, made) == ("fault", "the certificate has expired, and no machine can dial")


async def test_a_broker_that_everybody_reaches_without_tls_is_warned_of(doctor: Doctor, settings: Making) -> None:
    found = (await doctor(settings=with_serve(settings(), host="0.0.0.0")))["tls"]
    assert found.verdict == "warning"
    assert found.cure.startswith("openssl req ")


async def test_a_restore_that_broke_off_is_a_fault_until_it_is_repeated(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_mark(tmp_path / "data", Mark(archive="0" * 16, file="/backups/one of them.zip"))
    found = (await doctor())["restore"]
    assert (found.verdict, found.cure) == ("fault", "northstar restore '/backups/one of them.zip' --yes")
