"""Work that a signal ends in order: it is told once and may put everything away; who sends a second signal does not want to wait."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """The work was ended by a signal, and what it had started is gone."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"ended by {number.name}")
        self.exit_code = 128 + number


async def interruptible(work: Coroutine[Any, Any, Result]) -> Result:
    """Run the work to its end, or until the first SIGINT or SIGTERM has ended it.

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
        for each in _SIGNALS:  # the next one ends the process as it would any other
            loop.remove_signal_handler(each)
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
