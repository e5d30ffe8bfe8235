"""Keys from the command line: a text is shown once and can be captured, what it lets its owner do is what was said, and revoked is revoked."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.northstar_command import PROGRAM, Northstar

KEY = re.compile(r"nsk_[a-z2-7]{16}_[a-z2-7]{39}\n")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Northstar]:
    northstar = Northstar(tmp_path_factory.mktemp("keys"))
    with northstar.up("--no-machines"):
        yield northstar


def front_of(northstar: Northstar) -> str:
    return str(json.loads((northstar.data_dir / "run.json").read_text())["front"])


def status(northstar: Northstar, key: str, path: str = "/v1/jobs", body: object = None) -> int:
    """What the broker answers to whoever shows this key."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        front_of(northstar) + path, data=data, headers={"Authorization": f"Bearer {key.strip()}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def made(northstar: Northstar, *arguments: str) -> Any:
    return northstar.good("keys", "add", *arguments)


def test_a_key_stands_alone_on_the_standard_output_and_lets_its_owner_in(running: Northstar) -> None:
    answer = running.run("keys", "add", "the app", "--scope", "read")
    assert answer.code == 0, answer
    assert KEY.fullmatch(answer.out)
    assert status(running, answer.out) == 200
    told = answer.err.splitlines()
    assert told[0].endswith("the app: read, tenant default, until it is revoked")
    assert "it is shown only now" in told[1]
    assert f'curl -H "Authorization: Bearer $KEY" {front_of(running)}/v1/jobs' in told[2]
    assert answer.out.split("_")[2].strip() not in answer.err


def test_the_command_that_is_printed_can_be_run_in_a_shell(running: Northstar) -> None:
    answer = running.run("keys", "add", "shell", "--scope", "submit")
    (command,) = re.findall(r"curl .*", answer.err)
    done = subprocess.run(
        ["bash", "-c", command + " --silent"],
        env={"KEY": answer.out.strip(), "PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert (
        json.loads(done.stdout)["title"] == "NS_UNKNOWN_WORD"
    )  # no machine here offers pictures, and the key was good


@pytest.mark.parametrize(
    ("options", "scopes", "tenant"),
    [
        (("--scope", "submit", "--scope", "read"), ["submit", "read"], "default"),
        (("--scope", "submit", "--tenant", "acme"), ["submit"], "acme"),
        (("--scope", "read", "--all-tenants"), ["read"], None),
        (("--scope", "admin"), ["admin"], None),
        (("--scope", "machine"), ["machine"], None),
        (("--scope", "read", "--scope", "machine", "--all-tenants"), ["read", "machine"], None),
    ],
)
def test_a_key_is_of_the_tenant_of_jobs_that_name_none_unless_it_says_otherwise(
    running: Northstar, options: tuple[str, ...], scopes: list[str], tenant: str | None
) -> None:
    key = made(running, "one", *options)
    assert (key["scopes"], key["tenant"], key["expires_ms"]) == (scopes, tenant, 0)
    shown = running.good("keys", "show", key["id"])
    assert (shown["scopes"], shown["tenant"], shown["name"]) == (scopes, tenant, "one")


@pytest.mark.parametrize(
    "options", [("--scope", "machine", "--tenant", "acme"), ("--scope", "machine", "--scope", "read")]
)
def test_a_key_for_machines_is_of_no_tenant(running: Northstar, options: tuple[str, ...]) -> None:
    refused = running.run("keys", "add", "one", *options)
    assert (refused.code, refused.err.partition(":")[0]) == (2, "NS_KEY_INVALID")
    assert "'machine' reaches all tenants" in refused.err


def test_a_key_may_be_good_for_a_time(running: Northstar) -> None:
    key = made(running, "for a month", "--scope", "read", "--expires", "30d")
    shown = running.good("keys", "show", key["id"])
    assert shown["expires_ms"] - shown["created_ms"] == 30 * 86_400_000
    assert re.search(r"^good +until 2\d{3}-", running.run("keys", "show", key["id"]).out, re.MULTILINE)


def test_keys_are_listed_without_anything_that_lets_anybody_in(running: Northstar) -> None:
    key = made(running, "listed", "--scope", "read", "--tenant", "acme")
    answers = [running.run("keys", *words) for words in (("list",), ("list", "--json"), ("show", key["id"]))]
    assert all(answer.code == 0 and key["id"] in answer.out for answer in answers)
    assert all(key["key"].split("_")[2][:32] not in answer.out + answer.err for answer in answers)
    assert "CREATED (UTC)" in answers[0].out
    assert key["id"] in [one["id"] for one in answers[1].json["keys"]]


def test_a_rotated_key_has_a_new_text_beside_the_former_one_for_a_time(running: Northstar) -> None:
    first = made(running, "rotated", "--scope", "read")
    answer = running.run("keys", "rotate", first["id"], "--grace", "1h")
    assert KEY.fullmatch(answer.out)
    assert "the former text counts for 60 min more" in answer.err
    assert [status(running, key) for key in (first["key"], answer.out)] == [200, 200]
    assert "the present one and 1 former" in running.run("keys", "show", first["id"]).out
    asked = running.run("keys", "rotate", first["id"], "--grace", "0s")
    assert (asked.code, asked.err.partition(":")[0], asked.out) == (2, "NS_CONFIRMATION_NEEDED", "")
    last = running.good("keys", "rotate", first["id"], "--grace", "0s", "--yes")
    assert [status(running, key) for key in (first["key"], answer.out, last["key"])] == [401, 401, 200]


def test_a_key_is_revoked_after_it_was_shown_which(running: Northstar) -> None:
    key = made(running, "lost laptop", "--scope", "read")
    asked = running.run("keys", "revoke", key["key"])
    assert (asked.code, asked.err.partition(":")[0]) == (2, "NS_CONFIRMATION_NEEDED")
    assert f"key {key['id']} (lost laptop: read, tenant default) counts no more" in asked.err
    assert key["key"] not in asked.err
    assert status(running, key["key"]) == 200
    assert running.good("keys", "revoke", key["key"], "--yes") == {"key": key["id"], "revoked": True}
    assert status(running, key["key"]) == 401
    assert running.run("keys", "show", key["id"]).err.partition(":")[0] == "NS_NO_SUCH_KEY"


def test_the_question_is_not_among_what_is_captured(running: Northstar) -> None:
    key = made(running, "asked", "--scope", "read")
    own, terminal = pty.openpty()
    os.write(own, b"y\n")
    done = subprocess.run(
        [*PROGRAM, "keys", "rotate", key["id"], "--grace", "0s"],
        stdin=terminal,
        capture_output=True,
        text=True,
        env=running._environment,
        cwd=running.folder,
        timeout=60,
        check=True,
    )
    os.close(own)
    os.close(terminal)
    assert KEY.fullmatch(done.stdout)
    assert "counts no more, anywhere, at once. Go on?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("add", "x", "--scope", "read", "--tenant", "a", "--all-tenants"), "NS_TENANT_UNCLEAR", "not both"),
        (("add", "x", "--scope", "admin", "--tenant", "a"), "NS_KEY_INVALID", "reaches all tenants"),
        (("add", "x", "--scope", "read", "--scope", "read"), "NS_KEY_INVALID", "named twice"),
        (("add", "", "--scope", "read"), "NS_KEY_INVALID", "`name`"),
        (("add", "x", "--scope", "read", "--tenant", "no tenant"), "NS_KEY_INVALID", "`tenant`"),
        (("add", "x", "--scope", "read", "--expires", "soon"), "NS_DURATION_INVALID", "30d"),
        (("add", "x", "--scope", "read", "--expires", "0s"), "NS_KEY_INVALID", "`expires_in_s`"),
        (("show", "nobody"), "NS_NO_SUCH_KEY", "northstar keys list"),
        (("rotate", "a" * 16), "NS_NO_SUCH_KEY", "a" * 16),
        (("revoke", "a" * 16, "--yes"), "NS_NO_SUCH_KEY", "a" * 16),
        (("revoke", "nsk_x"), "NS_TOKEN_MALFORMED", "copy it whole"),
    ],
)
def test_a_bad_command_is_refused_with_a_code_and_a_sentence(
    running: Northstar, arguments: tuple[str, ...], code: str, sentence: str
) -> None:
    answer = running.run("keys", *arguments)
    assert answer.err.partition(": ")[0] == code, answer
    assert answer.code == (3 if code.startswith("NS_NO_SUCH") else 2)
    assert sentence in answer.err
    assert answer.out == ""


def test_scopes_are_told_to_whoever_misspells_one(running: Northstar) -> None:
    answer = running.run("keys", "add", "x", "--scope", "reed")
    assert answer.code == 2
    assert all(scope in answer.err for scope in ("admin", "submit", "read", "machine"))
