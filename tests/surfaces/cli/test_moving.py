"""A machine that has joined follows its broker to another address by the token it has, and says what is to be done if it cannot."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.northstar_command import Northstar, RunningProcess


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Northstar]:
    northstar = Northstar(tmp_path_factory.mktemp("moving"))
    with northstar.up("--no-machines"):
        yield northstar


def front_of(northstar: Northstar) -> str:
    return str(json.loads((northstar.data_dir / "run.json").read_text())["front"])


def elsewhere(northstar: Northstar) -> str:
    """The same broker at an address that is another text."""
    return front_of(northstar).replace("http://127.0.0.1", "ws://localhost") + "/"


def folder_of(northstar: Northstar, machine: str) -> Path:
    return northstar.data_dir / "machines" / machine


def joined_by(northstar: Northstar, machine: str) -> Any:
    return json.loads((folder_of(northstar, machine) / "joined.json").read_text())


def invite(northstar: Northstar, *options: str) -> str:
    return str(northstar.good("machines", "invite", "--url", "wss://x.example", *options)["token"])


def until_it_works(northstar: Northstar, machine: str, agent: RunningProcess) -> None:
    def is_there() -> bool:
        return machine in {each["id"] for each in northstar.good("machines", "list")["machines"]}

    agent.until(is_there, what=f"{machine} works")


def join(northstar: Northstar, machine: str, token: str) -> None:
    """Join, work, and end; the machine is gone then and its token stays."""
    with northstar.started(
        "agent", machine, "--join", front_of(northstar), "--token", token, "--service", "copy"
    ) as agent:
        until_it_works(northstar, machine, agent)
        assert agent.stop() == 0


@pytest.mark.parametrize("way", ["--join", "--join with a fresh invite", "--broker"])
def test_a_machine_that_joined_dials_another_address_by_the_token_it_has(running: Northstar, way: str) -> None:
    machine = f"mover-{len(way)}"
    join(running, machine, invite(running))
    token = (folder_of(running, machine) / "token").read_text()
    fresh = invite(running, "--uses", "5") if "invite" in way else ""
    options = ("--token", fresh) if fresh else ()
    with running.started("agent", machine, way.split(maxsplit=1)[0], elsewhere(running), *options) as agent:
        until_it_works(running, machine, agent)
        assert agent.stop() == 0
    assert (folder_of(running, machine) / "token").read_text() == token
    if way != "--broker":
        assert joined_by(running, machine)["broker"] == elsewhere(running).replace("ws:", "http:").rstrip("/")


def test_an_address_written_otherwise_is_the_same_address(running: Northstar) -> None:
    join(running, "writer", invite(running))
    before = joined_by(running, "writer")
    with running.started("agent", "writer", "--join", front_of(running).replace("http:", "ws:") + "/") as agent:
        until_it_works(running, "writer", agent)
    assert joined_by(running, "writer") == before


def test_a_broker_that_does_not_know_the_token_is_joined_anew_by_the_invite_and_by_nothing_else(
    running: Northstar, tmp_path: Path
) -> None:
    join(running, "stranger", invite(running))
    other = Northstar(tmp_path / "other", settings=running.settings.replace("[limits]", 'cell = "other"\n[limits]'))
    with other.up("--no-machines"):
        shutil.copytree(folder_of(running, "stranger"), folder_of(other, "stranger"))
        answer = other.run("agent", "stranger", "--join", front_of(other))
        assert (answer.code, answer.err.split(":")[0]) == (2, "NS_INVITE_MISSING"), answer
        join(other, "stranger", invite(other))
        assert joined_by(other, "stranger")["joined"]["cell"] == "other"


def test_that_it_waits_for_approval_is_said_when_it_joins_and_not_at_every_start(running: Northstar) -> None:
    token = invite(running, "--approval")
    started = ("agent", "patient", "--join", front_of(running), "--token", token, "--service", "copy")
    said = running.folder / "err.log"
    sentence = "patient has joined and waits for approval"
    with running.started(*started) as agent:
        agent.until(lambda: sentence in said.read_text(), what="it says that it waits")
    running.good("machines", "approve", "patient")
    with running.started(*started) as agent:
        until_it_works(running, "patient", agent)
    assert said.read_text().count(sentence) == 1


def test_an_agent_without_a_broker_is_told_the_options_that_it_has(tmp_path: Path) -> None:
    answer = Northstar(tmp_path).run("agent", "local")
    assert (answer.code, answer.err.split(":")[0]) == (4, "NS_BROKER_MISSING"), answer
    assert "--valkey" not in answer.err
    assert "--join URL --token INVITE" in answer.err
    assert "--broker URL" in answer.err


def test_a_machine_whose_broker_is_gone_and_that_holds_nothing_ends_at_once(tmp_path: Path) -> None:
    northstar = Northstar(tmp_path)
    (folder := folder_of(northstar, "local")).mkdir(parents=True)
    (folder / "token").write_text("nsm_none")
    with northstar.started("agent", "--broker", "http://127.0.0.1:9") as agent:
        agent.until(lambda: "broker_not_connected" in agent.words(), what="it dials in vain")
        began = time.monotonic()
        assert agent.stop() == 0
        assert time.monotonic() - began < 2.0
