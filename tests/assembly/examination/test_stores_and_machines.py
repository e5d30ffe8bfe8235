"""Faults of the history, of outputs, of engines and of tokens, provoked on real ones."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from northstar.agent.joining import JoinFolder, Membership
from northstar.assembly.front import admission_to
from northstar.assembly.serve import running_serve
from northstar.config import Settings
from northstar.domain.admission import Grant, InviteTerms
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, Token, TokenKind, cell_tag, machine_token
from northstar.store.admission import revoke
from northstar.store.wire import Joined
from northstar.surfaces.http.server import open_door
from tests import servers
from tests.assembly.examination.conftest import Doctor
from tests.connectors.fake_openai import FakeOpenAI

Making = Callable[..., Settings]
MACHINE = """
[[machines]]
name = "m"
services = ["{name}"]

[services.{name}]
{rest}
"""


def a_token(cell: str = "here") -> Token:
    return Token.make(
        TokenKind.MACHINE,
        tag=cell_tag(cell),
        id_bytes=secrets.token_bytes(ID_BYTES),
        secret_bytes=secrets.token_bytes(SECRET_BYTES),
    )


def joined(data: Path, broker: str, token: Token, machine: str = "m") -> None:
    """The machine's folder, as joining leaves it."""
    membership = Membership(
        broker=broker, joined=Joined(machine=machine, cell="here", status="approved", grant=Grant(pools=("standard",)))
    )
    JoinFolder(data / "machines" / machine).keep(token, membership)


# The history ----------------------------------------------------------------------------------------------------------


async def test_histories_are_judged_by_what_cell_and_tables_say(
    doctor: Doctor, settings: Making, tmp_path: Path
) -> None:
    async with servers.embedded_valkey() as server:
        wanted = settings(valkey__url=server.url, cell="here")
        async with running_serve(wanted, open_door=open_door):
            pass
        assert (await doctor(settings=wanted))["history"].verdict == "ok"

        elsewhere = msgspec.structs.replace(wanted, data_dir=str(tmp_path / "other"))
        found = (await doctor(settings=elsewhere))["history"]
        assert found.verdict == "fault"
        assert f"which is at sqlite:///{tmp_path}/data/history.db" in found.what

        revise(wanted, "0001")
        found = (await doctor(settings=wanted))["history"]
        assert (found.verdict, found.cure) == ("warning", "northstar backup .")
        revise(wanted, "9999")
        found = (await doctor(settings=wanted))["history"]
        assert found.verdict == "fault"
        assert "written by a later version" in found.what

        (wanted.data_path / "history.db").write_bytes(b"no database at all" * 100)
        found = (await doctor(settings=wanted))["history"]
        assert found.facts == {"code": "NS_HISTORY_DAMAGED"}


def revise(settings: Settings, revision: str) -> None:
    with sqlite3.connect(settings.data_path / "history.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


async def test_a_database_server_that_is_not_there_is_a_fault(doctor: Doctor) -> None:
    pytest.importorskip("psycopg")
    found = (await doctor(history__url="postgresql://user:secret@127.0.0.1:1/history"))["history"]
    assert found.facts == {"code": "NS_HISTORY_GONE"}
    assert "secret" not in found.what


# Outputs --------------------------------------------------------------------------------------------------------------


async def test_a_place_for_outputs_is_tried_and_left_as_it_was(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    assert (await doctor(assets__url=str(tmp_path / "outputs")))["assets"].verdict == "ok"
    assert list((tmp_path / "outputs").iterdir()) == []
    (tmp_path / "file").write_text("")
    found = (await doctor(assets__url=str(tmp_path / "file" / "below")))["assets"]
    assert found.facts == {"code": "NS_ASSET_STORE_UNAVAILABLE"}
    assert found.cure.startswith("df -h ")


# Engines --------------------------------------------------------------------------------------------------------------


async def test_a_program_that_is_not_installed_is_named(doctor: Doctor, tmp_path: Path) -> None:
    rest = 'connector = "command"\narguments = ["no-such-program"]\nwarm_up = {}\nexpects = ["text/plain"]'
    (tmp_path / "one.toml").write_text(MACHINE.format(name="render", rest=rest))
    found = (await doctor(file=tmp_path / "one.toml"))["engine:render"]
    assert (found.verdict, found.cure) == ("fault", "command -v no-such-program")


async def test_an_engine_is_asked_what_it_is_and_missed_when_it_is_gone(doctor: Doctor, tmp_path: Path) -> None:
    engine = FakeOpenAI()
    await engine.start()
    (tmp_path / "one.toml").write_text(
        MACHINE.format(name="chat", rest=f'connector = "openai"\nbase_url = "{engine.url}"')
    )
    found = (await doctor(file=tmp_path / "one.toml"))["engine:chat"]
    assert found.verdict == "ok"
    assert found.what.startswith("vllm 0.11.2 answers at")
    await engine.die()
    found = (await doctor(file=tmp_path / "one.toml"))["engine:chat"]
    assert (found.verdict, found.cure) == ("fault", f"curl -sS {engine.url}")


async def test_a_key_that_is_not_set_is_named(doctor: Doctor, tmp_path: Path) -> None:
    rest = 'connector = "openai"\nbase_url = "http://127.0.0.1:1"\napi_key_variable = "ABSENT_KEY"'
    (tmp_path / "one.toml").write_text(MACHINE.format(name="chat", rest=rest))
    found = (await doctor(file=tmp_path / "one.toml"))["engine:chat"]
    assert found.verdict == "fault"
    assert "ABSENT_KEY" in found.what


# Tokens ---------------------------------------------------------------------------------------------------------------


async def test_tokens_of_machines_are_shown_to_a_real_broker(doctor: Doctor, settings: Making, tmp_path: Path) -> None:
    async with servers.embedded_valkey() as server:
        serving = msgspec.structs.replace(settings(valkey__url=server.url, cell="here"), data_dir=str(tmp_path / "s"))
        async with running_serve(serving, open_door=open_door) as running:
            broker, host = running.front.url, settings()
            admission = admission_to(running.cell)
            invite = (await admission.invite(InviteTerms(pools=("standard",)), by="test")).invite
            token = machine_token(
                invite, id_bytes=secrets.token_bytes(ID_BYTES), secret_bytes=secrets.token_bytes(SECRET_BYTES)
            )
            await admission.redeem(invite.reveal(), token.reveal(), machine="m")

            joined(host.data_path, broker, token)
            assert (await doctor(settings=host))["token:m"].verdict == "ok"

            joined(host.data_path, broker, a_token())
            found = (await doctor(settings=host))["token:m"]
            assert found.verdict == "fault"
            assert found.cure == f"northstar agent m --join {broker} --token INVITE"

            (host.data_path / "machines" / "m" / "token").unlink()
            found = (await doctor(settings=host))["token:m"]
            assert found.verdict == "fault"
            assert "has no token" in found.what

            joined(host.data_path, broker, token)
            await revoke(running.cell, "m", by="test", because="it is put out", nonce="r")
            found = (await doctor(settings=host))["token:m"]
            assert found.facts == {"code": "NS_TOKEN_REVOKED"}
        found = (await doctor(settings=host))["token:m"]
        assert (found.verdict, found.cure) == ("fault", f"curl -sS {broker}/health/live")
