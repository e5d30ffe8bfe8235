"""A real process that speaks S3, on a port that was free, with one bucket."""

from __future__ import annotations

import collections
import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

BUCKET = "bucket"
_READY = " * Running on "
_MAX_LINES = 20


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Its address. Skips where the server is not installed."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            url = _address(process)
            # It tells of every request, and would wait for somebody to read it.
            reading = threading.Thread(target=collections.deque, args=(process.stderr, 0), daemon=True)
            reading.start()
            yield url
        finally:
            process.kill()
            process.wait()
        reading.join()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = []
    for _ in range(_MAX_LINES):
        line = process.stderr.readline()
        said.append(line)
        if line.startswith(_READY):
            return line.removeprefix(_READY).strip()
        if not line:
            break
    raise AssertionError(f"the S3 server did not start: {''.join(said)}")


@contextlib.contextmanager
def s3_in_environment(url: str) -> Iterator[None]:
    """The variables by which every S3 client learns where the server is and who asks; and the bucket."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "quiet-key")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield
