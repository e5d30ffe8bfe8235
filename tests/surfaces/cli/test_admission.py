"""Who may join, from the command line: one command is printed, nothing secret a second time, and every refusal is a sentence."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from northstar.broker.admission import Admission
from northstar.domain.admission import Admitted
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, Token, TokenKind, machine_token
from northstar.store.cell import Cell
from northstar.store.valkey import connect
from tests.northstar_command import Northstar

URL = ("--url", "wss://ns.example.com")
COMMAND = re.compile(r"^  northstar agent --join wss://ns\.example\.com --token (nsi_[a-z2-7_]+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Northstar]:
    northstar = Northstar(tmp_path_factory.mktemp("gate"))
    with northstar.up("--no-machines"):
        yield northstar


def join(northstar: Northstar, invite: str, machine: str, about: str = "") -> Admitted:
    """As an agent would, by way of the broker."""
    place = json.loads((northstar.data_dir / "run.json").read_text())
    parsed = Token.parse(invite, TokenKind.INVITE)
    token = machine_token(
        parsed, id_bytes=secrets.token_bytes(ID_BYTES), secret_bytes=secrets.token_bytes(SECRET_BYTES)
    )

    async def ask() -> Admitted:
        client = connect(place["url"])
        try:
            admission = Admission(Cell(client, place["cell"]), random_bytes=secrets.token_bytes, monotonic=lambda: 0.0)
            return await admission.redeem(invite, token.reveal(), machine=machine, about=about)
        finally:
            await client.aclose()

    return asyncio.run(ask())


def invited(northstar: Northstar, *arguments: str) -> Any:
    return northstar.good("machines", "invite", *URL, *arguments)


def entry_of(northstar: Northstar, machine: str) -> Any:
    (entry,) = [e for e in northstar.good("machines", "tokens")["tokens"] if e["machine"] == machine]
    return entry


def test_an_invite_is_one_command_to_run_on_the_machine(running: Northstar) -> None:
    answer = running.run("machines", "invite", "--pool", "standard", "--region", "eu", *URL)
    found = COMMAND.search(answer.out)
    assert (answer.code, answer.err) == (0, "")
    assert found is not None, answer.out
    admitted = join(running, found[1], "one")
    assert (admitted.grant.pools, admitted.grant.region, admitted.may_work) == (("standard",), "eu", True)
    assert "invites one machine until" in answer.out
    assert "it is shown only now" in answer.out


def test_for_programs_the_same_is_json(running: Northstar) -> None:
    made = invited(running, "--pool", "fast", "--pool", "slow", "--tag", "quiet", "--uses", "3", "--for", "2h")
    assert set(made) == {"invite", "token", "command", "ends_ms"}
    assert made["command"] == f"northstar agent --join wss://ns.example.com --token {made['token']}"
    (entry,) = [e for e in running.good("machines", "invites")["invites"] if e["id"] == made["invite"]]
    assert (entry["state"], entry["pools"], entry["tags"]) == ("open", ["fast", "slow"], ["quiet"])
    assert (entry["uses"], entry["used"], entry["ends_ms"] - entry["made_ms"]) == (3, 0, 7_200_000)


def test_the_address_may_stand_in_the_settings(running: Northstar) -> None:
    answer = running.run("machines", "invite", NORTHSTAR_JOIN_URL="wss://ns.example.com")
    assert COMMAND.search(answer.out), answer


def test_a_secret_is_shown_once_and_never_listed(running: Northstar) -> None:
    made = invited(running, "--uses", "2")
    join(running, made["token"], "two")
    secret = made["token"].split("_")[2][:32]
    lists = [running.run("machines", what, *form) for what in ("invites", "tokens") for form in ((), ("--json",))]
    assert [answer.code for answer in lists] == [0, 0, 0, 0]
    assert not any(secret in answer.out + answer.err for answer in lists)
    assert all(made["invite"] in answer.out for answer in lists)
    logs = (running.folder / "err.log").read_text() + (running.folder / "out.log").read_text()
    assert secret not in logs


def front_of(northstar: Northstar) -> str:
    return str(json.loads((northstar.data_dir / "run.json").read_text())["front"])


def uses_of(northstar: Northstar, invite: str) -> int:
    (entry,) = [e for e in northstar.good("machines", "invites")["invites"] if e["id"] == invite]
    return int(entry["used"])


def test_an_invite_in_a_file_or_in_the_environment_shows_in_no_list_of_processes(running: Northstar) -> None:
    made = invited(running, "--uses", "2")
    (running.folder / "invite").write_text(made["token"] + "\n")
    started = ("agent", "seven", "--join", front_of(running), "--service", "copy")
    with running.started(*started, "--token-file", str(running.folder / "invite")) as agent:
        agent.until(lambda: uses_of(running, made["invite"]) == 1, what="it has joined")
        assert made["token"] not in Path(f"/proc/{agent.popen.pid}/cmdline").read_text()
    refused = running.run("agent", "eight", *started[2:], NORTHSTAR_INVITE=made["token"][:-1])
    assert (refused.code, refused.err.split(":")[0]) == (2, "NS_TOKEN_MALFORMED")
    unreadable = running.run("agent", "eight", *started[2:], "--token-file", "/nowhere/invite")
    assert unreadable.err == "NS_FILE_UNREADABLE: /nowhere/invite cannot be read: No such file or directory\n"
    printed = running.run("machines", "invite", *URL).out
    assert "NORTHSTAR_INVITE" in printed
    assert "--token-file" in printed


def test_a_machine_whose_settings_exceed_the_invite_costs_it_no_use(running: Northstar) -> None:
    made = invited(running)
    joining = ("--join", front_of(running), "--service", "copy", "--token", made["token"])
    answer = running.run("agent", "nine", *joining, "--pool", "enterprise")
    assert (answer.code, answer.err.split(":")[0]) == (3, "NS_JOIN_REFUSED")
    assert "machine nine announces pool enterprise, and its token grants pools standard" in answer.err
    # One that the settings describe says all of itself: this one stands nowhere, and the invite is for the EU.
    european = invited(running, "--region", "eu")
    answer = running.run("agent", "local", "--join", front_of(running), "--token", european["token"])
    assert "machine local announces region (none), and its token grants region eu" in answer.err
    assert (uses_of(running, made["invite"]), uses_of(running, european["invite"])) == (0, 0)


def test_nothing_listens_where_a_machine_should_join(running: Northstar) -> None:
    made = invited(running)
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{kept.getsockname()[1]}"
        answer = running.run("agent", "ten", "--join", f"ws://{place}", "--token", made["token"])
    assert answer.code == 4
    assert answer.err == (
        f"NS_JOIN_UNANSWERED: http://{place} did not answer ({place}: nothing listens there); run the same command again, "
        "the invite is not used up by it\n"
    )


def test_an_address_with_a_path_that_is_not_the_brokers_is_told_as_such(running: Northstar) -> None:
    joining = ("--join", front_of(running) + "/foo", "--service", "copy", "--token", invited(running)["token"])
    answer = running.run("agent", "ten", *joining)
    assert (answer.code, answer.err.partition(":")[0]) == (2, "NS_JOIN_PATH_WRONG")
    assert "there is no North Star at " in answer.err


def test_options_that_are_for_nobody_are_suggested_to_nobody(running: Northstar) -> None:
    answer = running.run("agent", "eleven", "--superviso", "1")
    assert answer.code == 2
    assert "--supervisor" not in answer.err
    assert "No such option" in answer.err


def test_a_service_that_is_not_there_is_told_with_those_that_are(running: Northstar) -> None:
    answer = running.run("agent", "twelve", "--service", "cpoy")
    assert (answer.code, answer.err.split(":")[0]) == (2, "NS_INVALID_SETTINGS")
    assert "there is no [services.cpoy] (known: copy" in answer.err
    submitted = running.run("submit", "-", stdin='{"service": "cpoy"}')
    assert "no machine here has offered service:cpoy yet (known: " in submitted.err


def test_a_machine_that_needs_approval_waits_until_it_has_it(running: Northstar) -> None:
    made = invited(running, "--approval")
    assert not join(running, made["token"], "three", about="192.0.2.7").may_work
    waiting = running.good("machines", "tokens", "--waiting")["tokens"]
    assert [(entry["machine"], entry["about"]) for entry in waiting] == [("three", "192.0.2.7")]
    told = " ".join(running.run("status").out.split())
    assert "1 machine waits for approval: three next: northstar machines approve three" in told
    shown = running.run("machines", "show", "three")
    assert (shown.code, shown.err.partition(":")[0]) == (3, "NS_MACHINE_NOT_HERE")
    assert "northstar machines approve three" in shown.err
    assert running.run("machines", "approve", "three").out == "three  approved\n"
    assert running.good("status")["machines_waiting"] == []
    assert "its token is good, and it was last seen" in running.run("machines", "show", "three").err
    assert running.run("machines", "approve", "three").out == "three  was approved already\n"
    assert running.good("machines", "tokens", "--waiting")["tokens"] == []
    assert entry_of(running, "three")["status"] == "approved"


def test_a_machine_is_revoked_and_the_way_back_by_its_invite_is_pointed_out(running: Northstar) -> None:
    made = invited(running, "--uses", "5")
    join(running, made["token"], "four")
    asked = running.run("machines", "revoke", "four")
    assert (asked.code, asked.err.split(":")[0]) == (2, "NS_CONFIRMATION_NEEDED")
    answer = running.run("machines", "revoke", "four", "--yes")
    assert answer.out.splitlines()[0] == "four  revoked, 0 jobs returned to the queue"
    assert answer.out.splitlines()[1].endswith(f"northstar machines uninvite {made['invite']}")
    assert running.run("machines", "uninvite", made["token"]).out == f"{made['invite']}  revoked\n"
    again = running.good("machines", "revoke", "four", "--yes")
    assert again == {"machine": "four", "changed": False, "returned": 0, "open_invite": None}
    assert running.good("machines", "uninvite", made["invite"]) == {"invite": made["invite"], "changed": False}
    assert entry_of(running, "four")["status"] == "revoked"
    assert "its token was revoked by" in running.run("machines", "show", "four").err
    still_open = [entry["id"] for entry in running.good("machines", "invites", "--open")["invites"]]
    assert made["invite"] not in still_open


def test_a_list_that_is_cut_says_so(running: Northstar) -> None:
    made = invited(running, "--uses", "2")
    for name in ("five", "six"):
        join(running, made["token"], name)
    assert running.run("machines", "tokens", "--limit", "1").out.splitlines()[-1] == "… and more; --limit shows more"
    cut = running.good("machines", "tokens", "--limit", "1")
    assert ([entry["machine"] for entry in cut["tokens"]], cut["is_cut"]) == (["six"], True)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("invite",), "NS_JOIN_URL_INVALID", "or set join.url; `northstar up` listens on 127.0.0.1"),
        (("invite", "--url", "nowhere"), "NS_JOIN_URL_INVALID", "'nowhere' is not an address"),
        (("invite", *URL, "--for", "soon"), "NS_DURATION_INVALID", "90s, 15m, 12h or 30d"),
        (("invite", *URL, "--for", "91d"), "NS_INVITE_TOO_LONG", "at most 90 d here"),
        (("invite", *URL, "--for", "999999999d"), "NS_INVITE_INVALID", "$.ttl_ms"),
        (("invite", *URL, "--uses", "0"), "NS_INVITE_INVALID", "$.uses"),
        (("invite", *URL, "--pool", "No Pool"), "NS_INVITE_INVALID", "$.pools"),
        (("invite", *URL, "--region", "EU West"), "NS_INVITE_INVALID", "$.region"),
        (("approve", "nobody"), "NS_NO_SUCH_TOKEN", "no machine nobody has joined by an invite"),
        (("revoke", "nobody", "--yes"), "NS_NO_SUCH_TOKEN", "northstar machines tokens"),
        (("uninvite", "nobody"), "NS_NO_SUCH_INVITE", "no invite has the id 'nobody'"),
        (("uninvite", "a" * 16), "NS_NO_SUCH_INVITE", f"no invite has the id {'a' * 16}"),
        (("uninvite", "nsi_x"), "NS_TOKEN_MALFORMED", "copy it whole"),
    ],
)
def test_a_bad_command_is_refused_with_a_code_and_a_sentence(
    running: Northstar, arguments: tuple[str, ...], code: str, sentence: str
) -> None:
    answer = running.run("machines", *arguments)
    assert answer.err.partition(": ")[0] == code, answer
    assert answer.code == (3 if code.startswith("NS_NO_SUCH") else 2)
    assert sentence in answer.err
    assert answer.out == ""


def test_nothing_was_made_by_a_command_that_was_refused(running: Northstar) -> None:
    invites = running.good("machines", "invites")["invites"]
    assert {entry["region"] for entry in invites} <= {"", "eu"}
    assert {tuple(entry["pools"]) for entry in invites} <= {("standard",), ("fast", "slow")}
    assert {entry["ends_ms"] - entry["made_ms"] for entry in invites} <= {900_000, 7_200_000}


def test_without_a_north_star_nothing_is_invited(tmp_path: Path) -> None:
    answer = Northstar(tmp_path).run("machines", "invite", *URL)
    assert (answer.code, answer.err.partition(": ")[0]) == (4, "NS_NOT_RUNNING")
