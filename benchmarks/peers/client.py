"""A submitting process: `python -m benchmarks.peers.client ADAPTER URL`, one command a line in, one answer a line out.

A command is a JSON object with `do` and its arguments; the answer holds its figures, or `error` with a sentence.
The Node peer speaks the same lines, so the harness knows no language.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import uvloop

from benchmarks.peers.adapter import Adapter, load

#: Pause between two looks at a queue that is not drained yet.
_LOOK_S = 0.002


class Submitter:
    """Answers the harness's commands with one queue's adapter."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self.answers: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            "open": self._open,
            "submit": self._submit,
            "bulk": self._bulk,
            "paced": self._paced,
            "drained": self._drained,
            "close": self._close,
        }

    async def _open(self) -> dict[str, Any]:
        await self._adapter.open()
        return {"versions": {package: version(package) for package in self._adapter.packages}}

    async def _submit(self, *, count: int) -> dict[str, Any]:
        """One job after the other, each awaited."""
        since_ns = time.monotonic_ns()
        for number in range(count):
            await self._adapter.enqueue_one(number)
        return {"elapsed_ns": time.monotonic_ns() - since_ns}

    async def _bulk(self, *, count: int) -> dict[str, Any]:
        """All jobs by the queue's fastest call."""
        since_ns = time.monotonic_ns()
        await self._adapter.enqueue_bulk(range(count))
        return {"elapsed_ns": time.monotonic_ns() - since_ns}

    async def _paced(self, *, count: int, interval_ms: int) -> dict[str, Any]:
        """One job every interval, the first after one; its number is the moment just before it was submitted."""
        begun_s = time.monotonic()
        for turn in range(1, count + 1):
            await asyncio.sleep(max(0.0, begun_s + turn * interval_ms / 1000 - time.monotonic()))
            await self._adapter.enqueue_one(time.monotonic_ns())
        return {}

    async def _drained(self, *, timeout_s: float) -> dict[str, Any]:
        """Wait until the queue itself counts no job any more."""
        until_s = time.monotonic() + timeout_s
        while left := await self._adapter.outstanding():
            if time.monotonic() > until_s:
                return {"error": f"the queue still counts {left} unfinished jobs after {timeout_s:g} s"}
            await asyncio.sleep(_LOOK_S)
        return {"drained_ns": time.monotonic_ns()}

    async def _close(self) -> dict[str, Any]:
        await self._adapter.close()
        return {}


async def serve(adapter: Adapter) -> None:
    """Answer commands until standard input ends."""
    answers = Submitter(adapter).answers
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        try:
            answer = await answers[command.pop("do")](**command)
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is the harness's to report by name
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(serve(load(sys.argv[1], sys.argv[2])))
