"""One job on a simulated machine: its models are fetched, loaded, and then its work is done."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from northstar.domain.jobs import ClaimedJob
    from northstar.domain.models import ModelOrder
    from northstar.simulation.agenda import Entry
    from northstar.simulation.inputs import SimulatedJob


class Run:
    """Its state. What it reserves on the disk is let go with `end`."""

    def __init__(self, job: ClaimedJob, simulated: SimulatedJob, *, now_ms: int) -> None:
        self.job = job
        self.simulated = simulated
        self.body = job.read_body()
        self.needs = self.body.requires.models
        self.taken_ms = now_ms
        #: When its work begins, or will; None: its models are not all there yet.
        self.begins_ms: int | None = None
        #: When the machine was done with it, one way or the other; None: it has it still.
        self.left_ms: int | None = None
        #: When its job was told, whatever it may still do; None: it was not yet.
        self.told_ms: int | None = None
        self.missing = 0
        self.fetched_bytes = 0
        self.redundant_bytes = 0
        self.is_cold = False
        self.next: Entry | None = None
        self.keeps = ExitStack()

    def orders(self) -> list[ModelOrder]:
        """What a machine that lacks it fetches, as `agent.model_runner` orders it."""
        wanted = (need.order(from_job=need.name not in self.body.declared) for need in self.needs)
        return [order for order in wanted if order is not None]

    def note_fetch(self, order: ModelOrder) -> None:
        """One of its models must come first."""
        self.missing += 1
        anchors = {need.name for need in self.needs if need.is_anchor}
        self.is_cold = self.is_cold or order.name in anchors

    def came(self, fetched_bytes: int, redundant_bytes: int) -> bool:
        """What was fetched for it; gives whether it still counts for its job."""
        if self.is_over or self.told_ms is not None:
            return False
        self.fetched_bytes += fetched_bytes
        self.redundant_bytes += redundant_bytes
        return True

    @property
    def is_over(self) -> bool:
        """Whether the machine is done with it."""
        return self.left_ms is not None

    def began_by(self, now_ms: int) -> int | None:
        """When its work began; None: it has not by now, or was over before its models were fetched and loaded."""
        until_ms = now_ms if self.left_ms is None else self.left_ms
        return self.begins_ms if self.begins_ms is not None and self.begins_ms <= until_ms else None

    def end(self, *, now_ms: int) -> None:
        """It is over, one way or the other."""
        self.left_ms = now_ms
        self.keeps.close()
        if self.next is not None:
            self.next.strike()
            self.next = None
