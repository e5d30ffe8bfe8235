"""Logs: text for people, JSON for programs, and never a secret."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from northstar import telemetry
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, Token, TokenKind


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging belongs to the process; leave it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def configured(*, as_json: bool, level: str = "info", **bound: str) -> io.StringIO:
    stream = io.StringIO()
    telemetry.configure(level=level, json=as_json, stream=stream, **bound)
    return stream


def test_programs_get_one_json_object_a_line() -> None:
    stream = configured(as_json=True, machine="m1")
    structlog.get_logger("a").warning("lease_lost", job="j", numbers=(1, 2))
    line = json.loads(stream.getvalue())
    assert {key: line[key] for key in ("event", "level", "job", "machine", "numbers")} == {
        "event": "lease_lost",
        "level": "warning",
        "job": "j",
        "machine": "m1",
        "numbers": [1, 2],
    }
    assert line["timestamp"].endswith("Z")


def test_people_get_a_line_of_text() -> None:
    stream = configured(as_json=False)
    structlog.get_logger("b").info("machine_ready", slots=2)
    assert stream.getvalue().rstrip().endswith("[info     ] machine_ready slots=2")


def test_the_standard_librarys_logging_takes_the_same_way() -> None:
    stream = configured(as_json=True)
    logging.getLogger("embedded").error("it died: %s", "why")
    assert json.loads(stream.getvalue())["event"] == "it died: why"


def test_what_is_less_urgent_than_the_level_is_not_written() -> None:
    stream = configured(as_json=False, level="warning")
    structlog.get_logger("c").info("unheard")
    logging.getLogger("d").info("unheard")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_are_never_written(*, as_json: bool) -> None:
    stream = configured(as_json=as_json)
    structlog.get_logger("e").info(
        "connected", url="valkey://me:hunter2@host/0", password="hunter2", api_key="hunter2", webhook_secret="hunter2"
    )
    assert "connected" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert "valkey://***@host/0" in stream.getvalue()


@pytest.mark.parametrize("kind", list(TokenKind))
@pytest.mark.parametrize("as_json", [True, False])
def test_invites_and_tokens_are_named_by_their_ids_and_never_written_wherever_they_stand(
    *, as_json: bool, kind: TokenKind
) -> None:
    stream = configured(as_json=as_json)
    token = Token.make(kind, tag="aaaa", id_bytes=b"i" * ID_BYTES, secret_bytes=b"s" * SECRET_BYTES)
    text = token.reveal()
    structlog.get_logger("g").info(f"ran agent --token {text}", asked=text, inside=[{"a": (text,)}], itself=token)
    logging.getLogger("aiohttp").error("GET /join?token=%s", text)
    try:
        raise ValueError(f"bad {text.upper()}")
    except ValueError:
        structlog.get_logger("g").exception("it_broke")
    said = stream.getvalue()
    assert said.count(f"{kind.value}_{token.id}_***") == 5
    assert text.split("_")[2][:8] not in said.lower()


@pytest.mark.parametrize("as_json", [True, False])
def test_the_secret_of_a_webhook_is_never_written_wherever_it_stands(*, as_json: bool) -> None:
    stream = configured(as_json=as_json)
    structlog.get_logger("h").info(
        "made whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQh/+==", inside=[{"a": "whsec_c2VjcmV0IHNlY3JldCBz"}]
    )
    assert stream.getvalue().count("whsec_***") == 2
    assert "c2Vj" not in stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_neither_variables_nor_logins(*, as_json: bool) -> None:
    stream = configured(as_json=as_json)

    word = "hunter2"

    def fails(token: str) -> None:
        address = f"valkey://me:{token}@host/0"
        raise ValueError(f"no answer from {address}")

    for logger in (structlog.get_logger("f"), logging.getLogger("asyncio")):
        try:
            fails(word)
        except ValueError:
            logger.exception("it_broke")
    said = stream.getvalue()
    assert said.count("ValueError: no answer from valkey://***@host/0") == 2
    assert "Traceback" in said
    assert word not in said


def test_what_a_machine_writes_of_itself_gives_a_terminal_no_orders() -> None:
    stream = io.StringIO()
    telemetry.configure(stream=stream)
    log = structlog.get_logger()
    try:
        raise ValueError("\x1b]0;owned\x07")
    except ValueError:
        log.exception("raised", agent="1.0\x1b[2J", region="eu\x9b1m\u202e", machine="m")
    shown = stream.getvalue()
    assert "agent=1.0?[2J" in shown
    assert "region=eu?1m?" in shown
    assert "ValueError: ?]0;owned?\n" in shown
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown)


LATE = """
import logging, sys
from northstar import telemetry
telemetry.configure_late(level="warning")
assert "structlog" not in sys.modules
FIRST
telemetry.logger("ours").info("nobody asked")
telemetry.logger("ours").warning("ours is said", password="hunter2")
logging.getLogger("theirs").warning("theirs is said of redis://user:hunter2@host")
"""


@pytest.mark.parametrize("first", ["", "logging.getLogger('theirs').warning('theirs came first')"])
def test_logging_that_is_set_up_late_says_the_first_line_as_all_others(first: str) -> None:
    program = [sys.executable, "-P", "-c", LATE.replace("FIRST", first)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done
    said = done.stderr.splitlines()
    assert len(said) == 2 + bool(first)
    assert "ours is said" in said[-2]
    assert "theirs is said of redis://***@host" in said[-1]
    assert "hunter2" not in done.stderr


SET_UP = """
from northstar import telemetry
telemetry.configure(level="info")
telemetry.configure_late(level="warning")
telemetry.logger("ours").info("ours is said")
"""


def test_logging_that_is_set_up_already_is_not_set_up_again_late() -> None:
    """An agent that joins runs its question like a command, and goes on to say what it does."""
    program = [sys.executable, "-P", "-c", SET_UP]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert "ours is said" in done.stderr
