"""Work that a broker that serves does beside its loop is done at once here: nobody waits meanwhile, and a thread only costs."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class AtOnce(ThreadPoolExecutor):
    """An event loop takes only a pool of threads for its own; this one never starts any."""

    def submit(
        self, work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Do it now. The loop takes a future of its own as it is, so whoever waits for the result has it without another turn of the loop."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            done.set_result(work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 -- whoever asks for the result gets it
            done.set_exception(error)
        return cast("Future[Result]", done)
