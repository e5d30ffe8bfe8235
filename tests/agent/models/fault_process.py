"""A process that forks a child for every line it is told; the child works on a models folder and ends at the given step.

    in    {"root": …, "orders": [ModelOrder, …], "limit_bytes": …, "die_at": 7, "half": false}
    out   {"died": true}: whether the child came to that step, or had done all its work before

The child ends by `os._exit`: nothing is flushed, closed or tidied up by anybody, as with `kill -9`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec

import northstar.agent.models.partial
from northstar.agent.models.files import Files
from northstar.agent.models.options import ModelStoreOptions, World
from northstar.agent.models.sources.choice import SourceRules
from northstar.agent.models.space import SpaceRule
from northstar.agent.models.store import ModelStore
from northstar.domain.models import ModelOrder

DIED = 77


class Task(msgspec.Struct):
    root: str
    orders: list[ModelOrder]
    limit_bytes: int
    die_at: int
    half: bool


class MortalFiles(Files):
    """Counts steps, and ends the process before the chosen one, or in the middle of it if it writes."""

    def __init__(self, die_at: int, *, half: bool) -> None:
        self.left = die_at
        self.half = half

    def step(self, what: str, path: Path) -> None:
        self.left -= 1
        if self.left == 0 and not (self.half and what == "write"):
            os._exit(DIED)

    def append(self, fd: int, data: bytes, path: Path) -> None:
        self.step("write", path)
        if self.left == 0:
            os.write(fd, data[: len(data) // 2])
            os._exit(DIED)
        os.write(fd, data)


async def work(task: Task) -> None:
    options = ModelStoreOptions(
        root=Path(task.root),
        space=SpaceRule(limit_bytes=task.limit_bytes),
        sources=SourceRules(private_hosts=frozenset({"127.0.0.1"})),
    )
    async with ModelStore(options, world=World(files=MortalFiles(task.die_at, half=task.half))) as store:
        for order in task.orders:
            await store.fetch(order)


def main() -> None:
    northstar.agent.models.partial.SYNC_EVERY_BYTES = 60_000  # type: ignore[misc]
    for line in sys.stdin:
        task = msgspec.json.decode(line, type=Task)
        pid = os.fork()
        if pid == 0:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the child logs is no answer
            asyncio.run(work(task))
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code not in {0, DIED}:
            sys.exit(f"the child failed with {code}")
        print(msgspec.json.encode({"died": code == DIED}).decode(), flush=True)


if __name__ == "__main__":
    main()
