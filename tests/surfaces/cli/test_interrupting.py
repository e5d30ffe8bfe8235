"""A signal ends work in order: also where a shell let the process ignore it, and whatever the work says while it is ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from northstar.surfaces.cli.interrupting import Interrupted, interruptible


@pytest.fixture(params=["as usual", "ignored"], autouse=True)
def inherited(request: pytest.FixtureRequest) -> Iterator[None]:
    """How the shell has left SIGINT: `command &` of a script has it ignored."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN if request.param == "ignored" else before)
    yield
    signal.signal(signal.SIGINT, before)


def ended(work: object) -> int:
    with pytest.raises(Interrupted) as caught:
        asyncio.run(interruptible(work))  # type: ignore[arg-type]
    return caught.value.exit_code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_lets_the_work_put_everything_away(number: signal.Signals, code: int) -> None:
    put_away = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            put_away.append(True)

    assert ended(work()) == code
    assert put_away == [True]


def test_the_first_signal_is_told_and_a_second_one_hurries_what_is_put_away_and_cuts_nothing_short() -> None:
    told: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            assert told == ["stopping"]
            os.kill(os.getpid(), signal.SIGINT)
            while "hurry" not in told:
                await asyncio.sleep(0)
            told.append("put away")

    with pytest.raises(Interrupted):
        asyncio.run(interruptible(work(), stopping=lambda: told.append("stopping"), hurry=lambda: told.append("hurry")))
    assert told == ["stopping", "hurry", "put away"]


def test_an_error_while_it_is_ended_does_not_hide_that_it_was_interrupted() -> None:
    async def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError("the server went first")

    assert ended(work()) == 130


def test_work_that_was_done_all_the_same_has_its_result() -> None:
    async def work() -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return 7

    assert asyncio.run(interruptible(work())) == 7


def test_an_error_of_its_own_is_its_own() -> None:
    async def work() -> None:
        raise ConnectionError("no signal came")

    with pytest.raises(ConnectionError):
        asyncio.run(interruptible(work()))
