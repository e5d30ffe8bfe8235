"""The `serve` that is measured."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from benchmarks.peers.processes import Process

_ANSWERS_WITHIN_S = 60.0


@contextlib.contextmanager
def serve(valkey: str, *, cell: str, history: str, folder: Path) -> Iterator[tuple[Process, str]]:
    """One `northstar serve` at the settings as they are shipped, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    variables = {
        "NORTHSTAR_VALKEY_URL": valkey,
        "NORTHSTAR_CELL": cell,
        "NORTHSTAR_DATA_DIR": str(folder / "serve"),
        "NORTHSTAR_HISTORY_URL": history,
        "NORTHSTAR_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-P", "-m", "northstar", "serve", "--port", str(port)]
    with Process("serve", command, folder=folder, variables=variables, largest_file_bytes=8 * 1024**3) as process:
        yield process, f"http://127.0.0.1:{port}"


async def answers(url: str) -> None:
    """Return once it does."""
    async with asyncio.timeout(_ANSWERS_WITHIN_S), aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with http.get(f"{url}/health") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.02)


def resident_mb(pid: int) -> float:
    """Memory that a process has at present."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return float(fields["VmRSS"].split()[0]) / 1_000
