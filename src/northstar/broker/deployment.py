"""Having models brought to the machines that will need them, while these are still busy with other work."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from northstar.broker.model_orders import order_fetch
from northstar.domain.errors import NorthstarError
from northstar.policy.routing.deployment import deployment
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.broker.routed import Routed
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.cell import Cell

log = logger(__name__)

#: A model that one of a job's machines was told to fetch so lately is not ordered again; a fetch of the largest takes about so long.
AGAIN_AFTER_S: Final = 120.0
#: Orders that are remembered.
_REMEMBERED: Final = 10_000


class Deployer:
    """Orders fetches for jobs whose pool has no holder. An order that fails costs time and no job: whoever runs the job fetches."""

    def __init__(self, cell: Cell, *, new_id: Callable[[], str], monotonic: Callable[[], float]) -> None:
        self._cell = cell
        self._new_id = new_id
        self._monotonic = monotonic
        #: When a machine was told to fetch a model: a view that is a moment old does not tell it yet.
        self._ordered_s: dict[tuple[str, str], float] = {}

    async def bring(self, routed: Routed, ranked: Sequence[str], snapshot: CellSnapshot) -> int:
        """Order what this job's first machine lacks, if it is busy; gives how many models were ordered.

        A model that is on its way to any of the job's machines (`ranked`) is not ordered again. One that comes to others, of another pool
        or region, helps this job nothing.
        """
        request = routed.resolved.request
        fresh = [need for need in request.requires.models if not self._is_ordered(need.name, ranked)]
        wanted = deployment(ranked, fresh, snapshot)
        if wanted is None:
            return 0
        ordered = 0
        for need in wanted.needs:
            order = need.order(from_job=need.name not in routed.resolved.declared)
            if order is None:
                continue
            # Noted before anybody else can ask, and only as long as the order was not refused.
            self._remember(wanted.machine, need.name)
            is_given = False
            try:
                await order_fetch(
                    self._cell,
                    wanted.machine,
                    order,
                    order_id=f"o_{self._new_id()}",
                    by=f"routing for {request.tenant}",
                )
            except NorthstarError as exc:
                log.info("not_deployed", machine=wanted.machine, model=need.name, code=exc.code, error=str(exc))
            else:
                is_given = True
                ordered += 1
            finally:
                if not is_given:
                    self._ordered_s.pop((wanted.machine, need.name), None)
        return ordered

    def _is_ordered(self, model: str, machines: Sequence[str]) -> bool:
        since_s = self._monotonic() - AGAIN_AFTER_S
        return any(self._ordered_s.get((machine, model), -math.inf) > since_s for machine in machines)

    def _remember(self, machine: str, model: str) -> None:
        self._ordered_s.pop((machine, model), None)  # the eldest come first
        self._ordered_s[machine, model] = self._monotonic()
        while len(self._ordered_s) > _REMEMBERED:
            del self._ordered_s[next(iter(self._ordered_s))]
