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
        self.began_ms = 0
        self.missing = 0
        self.fetched_bytes = 0
        self.redundant_bytes = 0
        self.is_cold = False
        self.is_over = False
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

    def end(self) -> None:
        """It is over, one way or the other."""
        self.is_over = True
        self.keeps.close()
        if self.next is not None:
            self.next.strike()
            self.next = None
