"""What is said of machines that are lost, leave or fail an order, from the cell's events: once a cell, by the process that wrote them."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.events import Event

log = logger(__name__)

#: Jobs named in one line; of more, only the number is said.
MAX_NAMED: Final = 10
#: Machines whose returned jobs are remembered until it is known what became of the machine.
_MAX_MACHINES: Final = 1_000
_NOTICED: Final = {"silent": "nothing was heard of it in time, or since its connection broke"}


class FleetLog:
    """Hears the events of one cell in their order."""

    def __init__(self, cell: str) -> None:
        self._cell = cell
        self._jobs: OrderedDict[str, list[str]] = OrderedDict()
        self._counts: dict[str, int] = {}

    def hear(self, events: Sequence[Event]) -> None:
        """Say what a person wants to know of these events."""
        for event in events:
            match event.kind:
                case "job.returned" | "job.failed" if event.data.get("machine"):
                    self._gone_back(str(event.data["machine"]), event)
                case "machine.lost":
                    self._lost(event)
                case "machine.removed":
                    self._left(event)
                case "machine.registered":
                    self._forget(event.subject)
                case "order.ended" if event.data.get("outcome") == "failed":
                    self._order_failed(event)
                case _:
                    pass

    def _gone_back(self, machine: str, event: Event) -> None:
        if event.kind == "job.failed" and event.data.get("code") != "NS_MACHINES_LOST":
            return
        named = self._jobs.setdefault(machine, [])
        self._counts[machine] = self._counts.get(machine, 0) + 1
        if len(named) < MAX_NAMED:
            named.append(event.subject)
        while len(self._jobs) > _MAX_MACHINES:
            self._forget(next(iter(self._jobs)))

    def _forget(self, machine: str) -> tuple[list[str], int]:
        return self._jobs.pop(machine, []), self._counts.pop(machine, 0)

    def _lost(self, event: Event) -> None:
        named, count = self._forget(event.subject)
        reason = str(event.data.get("because") or "")
        now = "they are at the front of the queue again, no attempt charged" if count else "it ran nothing"
        log.warning(
            "machine_lost",
            cell=self._cell,
            machine=event.subject,
            at=_at(event),
            noticed=_NOTICED.get(reason, reason),
            **_jobs(named, count),
            now=now,
        )

    def _order_failed(self, event: Event) -> None:
        said = {name: str(event.data.get(name) or "") for name in ("order", "model", "code")}
        error = str(event.data.get("message") or "")
        log.warning("order_failed", cell=self._cell, machine=event.subject, at=_at(event), **said, error=error)

    def _left(self, event: Event) -> None:
        named, count = self._forget(event.subject)
        because = event.data.get("because") or ""
        log.info(
            "machine_left",
            cell=self._cell,
            machine=event.subject,
            at=_at(event),
            because=because,
            **_jobs(named, count),
        )


def _at(event: Event) -> str:
    """When it happened; a broker that was away tells what came to pass meanwhile."""
    return datetime.fromtimestamp(event.at_ms / 1000, tz=UTC).isoformat(timespec="seconds")


def _jobs(named: list[str], count: int) -> dict[str, Any]:
    """Their names, and how many they are where not all are named."""
    return {"jobs": named} if count == len(named) else {"jobs": named, "jobs_in_all": count}
