"""kill -9 at any step of a fetch or an eviction loses nothing but time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.agent.models.space import Space, SpaceRule
from northstar.domain.models import ModelOrder
from tests.agent.models import fault_process
from tests.agent.models.builders import left_over, order, safetensors, store, visible
from tests.agent.models.origin import Origin, origin

FIRST, SECOND = safetensors(150_000, seed=1), safetensors(160_000, seed=2)
#: Room for one of the two with its notes, not for both.
LIMIT_BYTES = 250_000
#: A folder in memory, where there is one: what a kill leaves is the same, and nobody waits for the disk.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
LAST_STEP = 86
WHOLE = {"checkpoints/first.safetensors": FIRST, "checkpoints/second.safetensors": SECOND}


class Mortals:
    """Children that die where they are told."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", fault_process.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def work(self, root: Path, orders: list[ModelOrder], *, die_at: int, half: bool) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        task = fault_process.Task(str(root), orders, LIMIT_BYTES, die_at, half)
        self._process.stdin.write(msgspec.json.encode(task).decode() + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks has ended"
        return bool(msgspec.json.decode(answer)["died"])

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    children = Mortals()
    yield children
    children.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Origin, Origin]]:
    """Two servers in a loop of their own, since each example runs its own loop."""
    ready, found = threading.Event(), []
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with origin(FIRST) as first, origin(SECOND) as second:
            found.extend([first, second])
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    yield found[0], found[1]
    loop.call_soon_threadsafe(end.set)
    thread.join(10)
    loop.close()


def both(servers: tuple[Origin, Origin], *, known: bool) -> list[ModelOrder]:
    """Orders of both files; the second drives the first out."""
    first, second = servers
    more = {} if known else {"sha256": "unknown", "size_bytes": 0}
    return [
        order(f"{first.url}/first", FIRST, name="first.safetensors", **more),
        order(f"{second.url}/second", SECOND, name="second.safetensors", **more),
    ]


def assert_only_whole_models_are_seen(root: Path) -> None:
    seen = visible(root)
    assert seen.items() <= WHOLE.items(), (
        f"half a model is visible: { {name: len(data) for name, data in seen.items()} }"
    )


async def assert_a_fresh_store_is_consistent_and_goes_on(root: Path, orders: list[ModelOrder]) -> None:
    async with store(root, space=SpaceRule(limit_bytes=LIMIT_BYTES)) as models:
        parts = models._parts
        assert Space(parts.layout, SpaceRule()).reserved_bytes() == 0, "a reservation was leaked"
        assert list(parts.layout.trash.iterdir()) == []
        assert {one.name for one in models.held()} == {Path(name).name for name in visible(root)}
        for one in orders:
            file = await models.fetch(one)
            assert file.path.read_bytes() == WHOLE[f"checkpoints/{one.name}"]
            assert file.sha256 is not None
        assert left_over(root) == []
    assert visible(root) == {"checkpoints/second.safetensors": SECOND}


@given(
    deaths=st.lists(st.tuples(st.integers(1, LAST_STEP), st.booleans()), min_size=1, max_size=3),
    known=st.booleans(),
)
def test_whatever_step_a_process_dies_at_the_next_one_finds_whole_models_and_goes_on(
    mortals: Mortals, servers: tuple[Origin, Origin], deaths: list[tuple[int, bool]], known: bool
) -> None:
    orders = both(servers, known=known)
    with tempfile.TemporaryDirectory(prefix="ns-models-", dir=MEMORY) as folder:
        root = Path(folder)
        for die_at, half in deaths:
            mortals.work(root, orders, die_at=die_at, half=half)
            assert_only_whole_models_are_seen(root)
        asyncio.run(assert_a_fresh_store_is_consistent_and_goes_on(root, orders))


def test_the_steps_of_the_property_reach_from_the_first_to_the_last(
    mortals: Mortals, servers: tuple[Origin, Origin], tmp_path: Path
) -> None:
    orders = both(servers, known=False)
    assert mortals.work(tmp_path / "early", orders, die_at=1, half=False)
    # How many there are depends a little on the pieces in which the network brings the bytes.
    assert mortals.work(tmp_path / "late", orders, die_at=LAST_STEP - 20, half=False)
    assert not mortals.work(tmp_path / "later", orders, die_at=LAST_STEP + 20, half=False)
    assert visible(tmp_path / "later") == {"checkpoints/second.safetensors": SECOND}
