"""Jobs and lanes as the function library takes them, all of one size and numbered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from northstar.store import messages as m

#: A job's body: about what a request for one picture is.
BODY = '{"service":"picture","payload":{"prompt":"' + "a tree on a hill, " * 5 + '","steps":8,"seed":1}}'
RESULT = '{"image":"asset:0123456789abcdef0123456789abcdef","seed":1}'
_TENANTS = 10

Item = TypeVar("Item")


def wanted_lane(number: int, *, class_: str | None = None) -> m.WantedLane:
    """A lane; in a class of its own unless `class_` names one."""
    key = f'{{"pool":"fast","service":"picture","models":["model:{number}"],"class":{number}}}'
    own_class = f'{{"needs":["gpu","tag:{number}"],"vram_mb":0}}'
    return m.WantedLane(key=key, class_=class_ or own_class, pool="fast", vram_mb=0, words=())


def wanted_job(number: int, *, lane_number: int, lane: int, priority: int = 50, body: str = BODY) -> m.WantedJob:
    """Job `number`, whose id tells its lane; `lane` is the lane's place in the submission, from 1."""
    return m.WantedJob(
        id=f"job_{lane_number:05}x{number:020}",
        lane=lane,
        tenant=f"tenant-{number % _TENANTS}",
        weight=1.0,
        cost=1.0,
        priority=priority,
        max_attempts=3,
        max_recoveries=10,
        start_within_ms=0,
        finish_within_ms=0,
        backoff_base_ms=1_000,
        backoff_cap_ms=60_000,
        retention_ms=86_400_000,
        idempotency_key="",
        digest=f"{number:032x}",
        body=body,
    )


def lane_number(job_id: str) -> int:
    """The lane that a job's id tells.

    >>> lane_number(wanted_job(7, lane_number=12, lane=1).id)
    12
    """
    return int(job_id[4:9])


def parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`; the last may be shorter.

    >>> list(parts("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    part: list[Item] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
