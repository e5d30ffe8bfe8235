"""More work than a trace has: more users like its own, or the same work in less time."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.simulation.workload.draws import share_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from northstar.simulation.inputs import SimulatedJob

#: A copy of a user comes at most so much earlier or later than the user, each time.
JITTER_S: Final = 1_800.0
_MS: Final = 1_000


def compressed(jobs: Iterable[SimulatedJob], factor: float) -> Iterator[SimulatedJob]:
    """The same jobs, `factor` times as fast one after the other; each takes as long as before.

    This is what "4x load" means in the reference measurements (c=4). It shortens lulls but neither start-ups nor downloads, so it is harder than
    four times as many users, and it brings no new models. A service day lasts a day / `factor` then (`Window.faster`).

    Raises:
        ValueError: `factor` is below 1.
    """
    if factor < 1:
        raise ValueError("a factor below 1 would stretch time")
    for job in jobs:
        yield msgspec.structs.replace(job, at_ms=int(job.at_ms / factor))


def resampled(
    jobs: Iterable[SimulatedJob], factor: float, *, seed: int, jitter_s: float = JITTER_S
) -> Iterator[SimulatedJob]:
    """Jobs of `factor` times as many users: each user with its copies, and all that they ask for.

    A copy has its user's jobs, moved by one time that the seed gives it, at most `jitter_s` either way: what one person does stays one sitting, and
    two persons do not act in the same millisecond. Of 2.5 every user has one copy and half of them two, by the seed. Jobs without a user
    are each somebody of their own. Jobs that would come before the beginning come at the beginning; no model is new.

    At most the jobs of twice `jitter_s` are held in memory, times `factor`.

    Raises:
        ValueError: `factor` is below 1, or `jitter_s` below 0.
    """
    if factor < 1 or jitter_s < 0:
        raise ValueError("a factor is 1 or more, and a jitter not below 0")
    reach_ms = int(jitter_s * _MS)
    waiting: list[tuple[int, int, SimulatedJob]] = []
    number = 0
    for place, job in enumerate(jobs):
        # Nothing that follows is earlier than this.
        while waiting and waiting[0][0] <= job.at_ms - reach_ms:
            yield heapq.heappop(waiting)[2]
        user = f"{job.request.tenant}/{job.request.user}" if job.request.user else f"\0{place}"
        for copy in range(_copies(user, factor, seed=seed)):
            one = job if copy == 0 else _copy(job, copy, _offset_ms(user, copy, reach_ms, seed=seed))
            heapq.heappush(waiting, (one.at_ms, number, one))
            number += 1
    while waiting:
        yield heapq.heappop(waiting)[2]


def _copies(user: str, factor: float, *, seed: int) -> int:
    whole = int(factor)
    return whole + (share_of(seed, "one copy more", user) < factor - whole)


def _offset_ms(user: str, copy: int, reach_ms: int, *, seed: int) -> int:
    return round(reach_ms * (2 * share_of(seed, "copy", user, str(copy)) - 1))


def _copy(job: SimulatedJob, copy: int, offset_ms: int) -> SimulatedJob:
    request = job.request
    if request.user:
        request = msgspec.structs.replace(request, user=f"{request.user}~{copy}")
    return msgspec.structs.replace(job, at_ms=max(0, job.at_ms + offset_ms), request=request)
