"""Having models brought to the machines that will need them, while these are still busy with other work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.broker.model_orders import order_fetch
from northstar.domain.errors import NorthstarError
from northstar.policy.routing.deployment import deployment
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.broker.routing import Routed
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.cell import Cell

log = logger(__name__)

#: A model that was ordered so lately is not ordered again; a fetch of the largest takes about so long.
AGAIN_AFTER_S: Final = 120.0
#: Models whose orders are remembered.
_REMEMBERED: Final = 10_000


class Deployer:
    """Orders fetches for jobs whose pool has no holder. An order that fails costs time and no job: whoever runs the job fetches."""

    def __init__(self, cell: Cell, *, new_id: Callable[[], str], monotonic: Callable[[], float]) -> None:
        self._cell = cell
        self._new_id = new_id
        self._monotonic = monotonic
        self._ordered_s: dict[str, float] = {}

    async def bring(self, routed: Routed, ranked: Sequence[str], snapshot: CellSnapshot) -> int:
        """Order what this job's first machine lacks, if it is busy; gives how many models were ordered."""
        request = routed.resolved.request
        fresh = [need for need in request.requires.models if not self._is_ordered(need.name)]
        wanted = deployment(ranked, fresh, snapshot)
        if wanted is None:
            return 0
        ordered = 0
        for need in wanted.needs:
            order = need.order(from_job=need.name not in routed.resolved.declared)
            if order is None:
                continue
            self._remember(need.name)
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
                ordered += 1
        return ordered

    def _is_ordered(self, model: str) -> bool:
        at_s = self._ordered_s.get(model)
        return at_s is not None and self._monotonic() - at_s < AGAIN_AFTER_S

    def _remember(self, model: str) -> None:
        self._ordered_s[model] = self._monotonic()
        while len(self._ordered_s) > _REMEMBERED:
            del self._ordered_s[next(iter(self._ordered_s))]
