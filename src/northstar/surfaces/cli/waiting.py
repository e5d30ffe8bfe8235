"""Waiting for jobs to end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import ClassVar, Final

from northstar.broker.job_views import look_at
from northstar.domain.errors import NorthstarError
from northstar.domain.jobs import JobView
from northstar.domain.refusals import NoSuchJob
from northstar.store.cell import Cell
from northstar.surfaces.cli.pasting import pasteable
from northstar.surfaces.cli.printing import counted

_FIRST_LOOK_S: Final = 0.02
_LAST_LOOK_S: Final = 0.5


class WaitTooLong(NorthstarError):
    """Jobs were still not finished when the wait was over. They go on."""

    code: ClassVar[str] = "NS_WAIT_TIMEOUT"

    def __init__(self, unfinished: Sequence[str], *, timeout_s: float) -> None:
        some = ", ".join(unfinished[:3]) + (", …" if len(unfinished) > 3 else "")
        jobs, go = counted(len(unfinished), "job"), "goes" if len(unfinished) == 1 else "go"
        super().__init__(f"{jobs} did not finish within {timeout_s:g} s ({some}) and {go} on: northstar jobs list")
        self.unfinished = unfinished


def say_it_goes_on(job_ids: Sequence[str]) -> None:
    """What whoever stops waiting by Ctrl-C is told: that ends no job. Not on the standard output: that is for the results."""
    first, more = job_ids[0], len(job_ids) - 1
    who = f"{first} goes on" if not more else f"{first} and {more} more go on"
    told = f"no longer waited for; unless over, {who}: northstar jobs show {first}; to end it: northstar jobs cancel {first}"
    sys.stderr.write(pasteable(f"{told}\n"))
    sys.stderr.flush()


async def wait_until_final(cell: Cell, job_ids: Sequence[str], *, timeout_s: float) -> list[JobView]:
    """The jobs in their last state, with results, in the order asked; looks twice a second at most.

    Raises:
        WaitTooLong: some had not finished. NoSuchJob: one is unknown, or was forgotten meanwhile.
    """
    clock = asyncio.get_running_loop()
    deadline = clock.time() + timeout_s
    finished: dict[str, JobView] = {}
    pause_s = _FIRST_LOOK_S
    while True:
        open_ids = [job_id for job_id in dict.fromkeys(job_ids) if job_id not in finished]
        seen = {view.id: view for view in await look_at(cell, open_ids, results=True)}
        for job_id in open_ids:
            if job_id not in seen:
                raise NoSuchJob({"job": job_id})
        finished |= {job_id: view for job_id, view in seen.items() if view.status.is_final}
        open_ids = [job_id for job_id in open_ids if job_id not in finished]
        if not open_ids:
            return [finished[job_id] for job_id in job_ids]
        if clock.time() >= deadline:
            raise WaitTooLong(open_ids, timeout_s=timeout_s)
        await asyncio.sleep(min(pause_s, max(0.0, deadline - clock.time())))
        pause_s = min(_LAST_LOOK_S, pause_s * 1.5)
