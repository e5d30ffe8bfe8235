"""A job whose pool, needs and time are decided: what is brought to the cell, with the reasons that are stored beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.needs import ResolvedRequest
from northstar.domain.decisions import RoutingDecision
from northstar.domain.explanations import Action
from northstar.domain.requirements import read_class
from northstar.domain.stored_decisions import to_stored
from northstar.policy.routing.coming import on_their_way
from northstar.policy.routing.gpu_pace import NO_PACES, GpuPaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.policy.routing.coming import ComingMachine
    from northstar.policy.routing.snapshot import CellSnapshot

#: As long as a stored decision may be, bytes; as the function library bounds it.
MAX_DECISION_BYTES: Final = 4_096


def stored_text(decision: RoutingDecision) -> str:
    """A decision as text within its bound: of many pools that were passed over, the last ones go unsaid."""
    text = to_stored(decision)
    while len(text.encode()) > MAX_DECISION_BYTES and (decision.rejected or decision.notes):
        decision = msgspec.structs.replace(decision, rejected=decision.rejected[:-1], notes=decision.notes[:-1])
        text = to_stored(decision)
    return text


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """A job with its pool and needs decided, and why. `deploys`: its models are to be brought to the pool.

    `paces` are how long it takes on each class of GPU: by these the decision names machines, and by these they are ranked for its lane.
    """

    resolved: ResolvedRequest
    decision: RoutingDecision
    deploys: bool = False
    paces: GpuPaces = NO_PACES
    #: What would have to change before anybody can run it.
    actions: tuple[Action, ...] = ()

    def stored(self) -> str:
        """The decision as text within its bound."""
        return stored_text(self.decision)

    def keeping(self, before: RoutingDecision | None) -> Routed:
        """The same for a job that is queued already: what was made of its priority at submit is what was decided before."""
        decision = msgspec.structs.replace(
            self.decision,
            asked_priority=None if before is None else before.asked_priority,
            raised_by=0 if before is None else before.raised_by,
            raised_because="" if before is None else before.raised_because,
        )
        return msgspec.structs.replace(self, decision=decision)

    def expecting(self, machines: Sequence[ComingMachine], snapshot: CellSnapshot) -> Routed:
        """The same where nobody can run the job, and one of these may as soon as it is ready."""
        wanted = read_class(self.resolved.request.lane().requirement_class)
        pools = self.decision.only_lacks_machines
        coming = on_their_way(wanted, machines, snapshot, pools=pools) if self.decision.unservable else ""
        if not coming:
            return self
        decision = msgspec.structs.replace(self.decision, unservable="", coming=coming)
        return msgspec.structs.replace(self, decision=decision, actions=())
