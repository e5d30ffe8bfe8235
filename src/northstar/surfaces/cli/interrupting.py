"""Work that a signal ends in order: it is told once and may put everything away; who sends a second signal does not want to wait."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """The work was ended by a signal, and what it had started is gone."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"ended by {number.name}")
        self.exit_code = 128 + number


def _nothing() -> None:
    """Where there is nothing to say, or nothing that could go faster."""


async def interruptible(
    work: Coroutine[Any, Any, Result],
    *,
    stopping: Callable[[], None] = _nothing,
    hurry: Callable[[], None] = _nothing,
) -> Result:
    """Run the work to its end, or until the first SIGINT or SIGTERM has ended it.

    `stopping` is called at the first one, to say so; `hurry` at each further one, to have what is still put away end at once. No signal
    cuts the putting away short, or what the work has started would stay behind.

    The handlers are our own: a shell that starts a command in the background lets it ignore SIGINT, and an event loop takes that as it is.
    What the work says while it is being ended is nobody's concern any more: that it was ended is what its caller needs to know.

    Raises:
        Interrupted: a signal came before the work was done.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    came: list[signal.Signals] = []

    def interrupt(number: signal.Signals) -> None:
        came.append(number)
        if len(came) > 1:
            hurry()
            return
        stopping()
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt, number)
    try:
        await asyncio.wait({task})
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    if came and (task.cancelled() or task.exception() is not None):
        raise Interrupted(came[0])
    return task.result()
