"""The receiver that the page on webhooks shows takes what we send, once, and nothing else."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from northstar.policy.webhooks.signing import headers, read_secret, shown_secret
from tests.northstar_command import eventually

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "webhooks.md"
SECRET = shown_secret(b"s" * 32)
BODY = b'{"type":"job.failed","data":{"job":{"id":"a1"}}}'


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    found = re.search(r"^<!-- receiver -->\n```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    (tmp_path / "receiver.py").write_text(found[1])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    out = tmp_path / "out"
    with out.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "receiver.py"],
            cwd=tmp_path,
            env=os.environ | {"SECRET": SECRET, "PORT": str(port)},
            stdout=stream,
            stderr=subprocess.DEVNULL,
        )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        eventually(listens, what="the receiver listens")
        yield f"http://127.0.0.1:{port}/", out
    finally:
        process.kill()
        process.wait()


def sent(url: str, secrets: list[bytes], *, age_s: int = 0, body: bytes = BODY, message: str = "msg_1") -> int:
    signed = headers(secrets, message_id=message, timestamp_s=int(time.time()) - age_s, body=BODY)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=signed), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


def test_it_takes_what_is_signed_by_its_secret_once_and_refuses_the_rest(receiver: tuple[str, Path]) -> None:
    url, out = receiver
    mine, other = read_secret(SECRET), b"o" * 32
    assert [sent(url, [other, mine]), sent(url, [mine])] == [204, 204]
    assert sent(url, [other]) == 401
    assert sent(url, [mine], age_s=3_600) == 401
    assert sent(url, [mine], body=BODY.replace(b"a1", b"a2")) == 401
    assert sent(url, [mine], message="msg_2") == 204
    eventually(lambda: out.read_text() == "job.failed a1\n" * 2, what="each message is worked on once")
