"""How much GPU memory runs take: looked at while exactly one job is on the card, and told with its run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from northstar.agent.gpu_memory_watch import EVERY_S, GpuMemoryWatch
from northstar.agent.hardware import HardwareUnknown, find_gpus, used_memory_mb
from northstar.agent.run_meter import RunMeters
from northstar.domain.machines import Gpu
from northstar.domain.progress import Progress
from northstar.domain.run_reports import from_wire
from tests.agent.nvidia_smi import H200, TWO_L4, fake_nvidia_smi

H200_CARD = Gpu(index=0, uuid="GPU-0e1b7c2a-5d7f-4b3c-9a52-1f0b6f5d9c11")
USES = "0, GPU-0e1b7c2a-5d7f-4b3c-9a52-1f0b6f5d9c11, 10240\n"


class Card:
    """What the driver answers, one after another; the last for ever. Counts how often it was asked."""

    def __init__(self, *answers: int | None, meanwhile: Callable[[], None] | None = None) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.is_broken = False
        self._meanwhile = meanwhile

    async def ask(self) -> int | None:
        self.asked += 1
        if self.is_broken:
            raise HardwareUnknown("it ended with code 9: no words")
        if self._meanwhile is not None:
            self._meanwhile()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def peak(meters: RunMeters, token: str) -> int:
    report = from_wire(meters.end(token))
    return 0 if report is None else report.peak_vram_mb


async def test_a_run_that_is_alone_is_told_with_the_most_that_was_in_use() -> None:
    meters, card = RunMeters(lambda: 0.0), Card(3_000, 9_000, 4_000)
    watch = GpuMemoryWatch(card.ask, meters)
    meters.begin("1.a.1")
    for _ in range(3):
        assert await watch.look() == EVERY_S
    assert peak(meters, "1.a.1") == 9_000


async def test_a_run_during_which_another_one_ran_is_told_without_whichever_ends_first() -> None:
    """Before, during and after the time that they shared: nobody knows whose memory it was."""
    meters, card = RunMeters(lambda: 0.0), Card(9_000)
    watch = GpuMemoryWatch(card.ask, meters)
    meters.begin("1.a.1")
    await watch.look()
    meters.begin("1.b.1")
    await watch.look()
    assert peak(meters, "1.a.1") == 0
    await watch.look()
    assert (peak(meters, "1.b.1"), card.asked) == (0, 1)
    meters.begin("1.c.1")
    await watch.look()
    assert peak(meters, "1.c.1") == 9_000


async def test_what_was_in_use_while_another_job_came_counts_for_neither() -> None:
    """The driver takes a moment to answer."""
    meters = RunMeters(lambda: 0.0)
    card = Card(9_000, meanwhile=lambda: meters.begin("1.b.1"))
    meters.begin("1.a.1")
    await GpuMemoryWatch(card.ask, meters).look()
    assert (peak(meters, "1.a.1"), peak(meters, "1.b.1")) == (0, 0)


async def test_a_run_that_ended_meanwhile_leaves_nothing_to_the_next() -> None:
    meters = RunMeters(lambda: 0.0)

    def next_one() -> None:
        meters.end("1.a.1")
        meters.begin("1.b.1")

    meters.begin("1.a.1")
    await GpuMemoryWatch(Card(9_000, meanwhile=next_one).ask, meters).look()
    assert peak(meters, "1.b.1") == 0


async def test_while_a_job_still_brings_its_models_the_card_is_not_asked() -> None:
    """What lies there is of earlier jobs."""
    meters, card = RunMeters(lambda: 0.0), Card(9_000)
    watch = GpuMemoryWatch(card.ask, meters)
    meters.begin("1.a.1")
    meters.hear("1.a.1", Progress(phase="fetching", model="m", bytes_done=5))
    await watch.look()
    assert card.asked == 0
    meters.hear("1.a.1", Progress(phase="running"))
    await watch.look()
    assert peak(meters, "1.a.1") == 9_000


async def test_what_the_driver_does_not_say_is_not_known() -> None:
    meters = RunMeters(lambda: 0.0)
    meters.begin("1.a.1")
    await GpuMemoryWatch(Card(None).ask, meters).look()
    assert peak(meters, "1.a.1") == 0


async def test_a_driver_in_trouble_is_asked_again_after_a_minute_and_costs_no_job() -> None:
    meters, card = RunMeters(lambda: 0.0), Card(9_000)
    watch = GpuMemoryWatch(card.ask, meters)
    meters.begin("1.a.1")
    card.is_broken = True
    assert await watch.look() == 60.0
    card.is_broken = False
    assert await watch.look() == EVERY_S
    assert peak(meters, "1.a.1") == 9_000


@contextlib.asynccontextmanager
async def watching(watch: GpuMemoryWatch) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_while_no_job_runs_nothing_is_asked_and_while_one_does_only_now_and_then() -> None:
    """One pause before each look, the first included."""
    pauses: list[float] = []
    may_look = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await may_look.acquire()

    async def settled() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    meters, card = RunMeters(lambda: 0.0), Card(9_000)
    async with watching(GpuMemoryWatch(card.ask, meters, sleep=sleep)):
        await settled()
        assert (pauses, card.asked) == ([], 0)
        meters.begin("1.a.1")
        await settled()
        assert (pauses, card.asked) == ([EVERY_S], 0)
        may_look.release()
        await settled()
        assert (pauses, card.asked) == ([EVERY_S] * 2, 1)
        assert peak(meters, "1.a.1") == 9_000
        may_look.release()
        await settled()
        assert (pauses, card.asked) == ([EVERY_S] * 2, 1)


# The driver's own program --------------------------------------------------------------------------------------------


async def test_memory_in_use_is_asked_of_the_driver(tmp_path: Path) -> None:
    """Its sizes are MiB; ours are MB."""
    environment = fake_nvidia_smi(tmp_path, H200, uses=USES)
    (card,) = (await find_gpus(environment)).gpus
    assert await used_memory_mb(environment, card) == 10_737


async def test_of_several_cards_the_right_one_is_read(tmp_path: Path) -> None:
    uses = "0, GPU-aaaa1111-0000-0000-0000-000000000000, 100\n1, GPU-bbbb2222-0000-0000-0000-000000000000, 2000\n"
    environment = fake_nvidia_smi(tmp_path, TWO_L4, uses=uses) | {"CUDA_VISIBLE_DEVICES": "1"}
    (card,) = (await find_gpus(environment)).gpus
    assert await used_memory_mb(environment, card) == 2_097


@pytest.mark.parametrize("uses", ["0, GPU-0e1b7c2a-5d7f-4b3c-9a52-1f0b6f5d9c11, [N/A]\n", "1, GPU-9, 5\n", ""])
async def test_a_driver_that_does_not_say_leaves_it_unknown(tmp_path: Path, uses: str) -> None:
    assert await used_memory_mb(fake_nvidia_smi(tmp_path, uses=uses), H200_CARD) is None


@pytest.mark.parametrize(
    ("uses", "code", "then", "reason"),
    [
        ("0, GPU-1\n", 0, "", "not index, uuid, memory.used: '0, GPU-1'"),
        ("0, GPU-1, 5, 6\n", 0, "", "not index, uuid, memory.used"),
        ("lost\n", 9, "", "it ended with code 9: lost"),
        ("No devices were found\n", 6, "", "is gone"),
        ("", 0, "time.sleep(600)", "no answer within 0.5 s"),
        (None, 0, "", "it ended with code 2"),
    ],
)
async def test_a_driver_in_trouble_is_named(
    tmp_path: Path, uses: str | None, code: int, then: str, reason: str
) -> None:
    environment = fake_nvidia_smi(tmp_path, code=code, then=then, uses=uses)
    with pytest.raises(HardwareUnknown) as caught:
        await used_memory_mb(environment, H200_CARD, within_s=0.5 if then else 20.0)
    assert reason in caught.value.reason


async def test_a_driver_that_was_removed_is_named(tmp_path: Path) -> None:
    with pytest.raises(HardwareUnknown, match="is gone"):
        await used_memory_mb({"PATH": str(tmp_path)}, H200_CARD)
