"""What the events of a soak say: what was lost, what was done twice, who was charged, and how long a lost job waited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from northstar.domain.events import Event

_BEGINS = frozenset({"job.offered", "job.started"})


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`recoveries_ms`: for every run that ended with its machine, from the kill to the job's next start."""

    lost: tuple[str, ...]
    done_twice: tuple[str, ...]
    charged: tuple[str, ...]
    recoveries_ms: tuple[int, ...]


def verdict(events: Iterable[Event], wanted: Iterable[str], killed_ms: Mapping[str, int]) -> Verdict:
    """`events` in order; `wanted` the ids that were submitted; `killed_ms` when each machine was killed, on the cell's clock."""
    done: Counter[str] = Counter()
    charged: dict[str, None] = {}
    waits: dict[str, int] = {}
    recoveries: list[int] = []
    for event in events:
        if event.kind == "job.succeeded":
            done[event.subject] += 1
        elif event.kind in {"job.retrying", "job.failed"}:
            charged[event.subject] = None
        elif event.kind == "job.returned" and event.data.get("machine") in killed_ms:
            waits[event.subject] = killed_ms[event.data["machine"]]
        elif event.kind in _BEGINS and event.subject in waits:
            recoveries.append(event.at_ms - waits.pop(event.subject))
    return Verdict(
        lost=tuple(job for job in wanted if not done[job]),
        done_twice=tuple(job for job, times in done.items() if times > 1),
        charged=tuple(charged),
        recoveries_ms=tuple(recoveries),
    )
