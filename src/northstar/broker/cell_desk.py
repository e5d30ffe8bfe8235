"""What clients ask by HTTP of a cell as a whole: its pools, lanes, pauses and status.

Pools and pauses are for everybody, since they say why a job waits. Lanes and the status count the work of all tenants and name the models
that they ask for, so they are for keys of all tenants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker import pauses
from northstar.broker.cell_status import CellStatus, read_status
from northstar.broker.lane_rows import lane_page
from northstar.config.pool_errors import NoSuchPool
from northstar.config.pools import PACKAGED
from northstar.domain.api_keys import Scope
from northstar.domain.errors import NorthstarError
from northstar.domain.pool_resources import PoolInForce, PoolsInForceNow, PoolsOrigin, ScopeChanged
from northstar.domain.pools import EngineSettings
from northstar.store.pauses import Pause, read_pauses
from northstar.telemetry import logger

if TYPE_CHECKING:
    from northstar.broker.missing_machines import MissingMachinesReader
    from northstar.broker.pools_in_force import PoolsInForce
    from northstar.broker.webhooks.desk import WebhookDesk
    from northstar.domain.api_keys import Caller
    from northstar.domain.lane_rows import LanePage
    from northstar.domain.pool_resources import WantedPause
    from northstar.domain.pools import PoolSpec
    from northstar.store.cell import Cell
    from northstar.store.snapshots import CellReader

log = logger(__name__)


class CellDesk:
    """One cell as keys see it."""

    def __init__(
        self,
        cell: Cell,
        *,
        pools: PoolsInForce,
        missing: MissingMachinesReader,
        reader: CellReader,
        webhooks: WebhookDesk,
    ) -> None:
        self._cell = cell
        self._webhooks = webhooks
        self._pools = pools
        self._missing = missing
        self._reader = reader

    async def pools(self, caller: Caller) -> PoolsInForceNow:
        """All that are in force. Raises Unavailable."""
        await self._pools.look()
        now = self._pools.latest
        return PoolsInForceNow(
            mode=now.routing.mode,
            pools={name: _shown(caller, spec) for name, spec in now.pools.items()},
            origin=self._origin(),
        )

    async def pool(self, caller: Caller, name: str) -> PoolInForce:
        """One that is in force. Raises NoSuchPool, Unavailable."""
        await self._pools.look()
        spec = self._pools.latest.get(name)
        if spec is None:
            raise NoSuchPool(name, known=tuple(self._pools.latest.pools))
        return PoolInForce(pool=name, spec=_shown(caller, spec), origin=self._origin())

    def _origin(self) -> PoolsOrigin:
        applied = self._pools.applied
        if applied is not None:
            return PoolsOrigin(
                source="applied", file=applied.source, version=applied.version, by=applied.by, at_ms=applied.at_ms
            )
        is_packaged = self._pools.source == PACKAGED
        return PoolsOrigin(source="packaged") if is_packaged else PoolsOrigin(source="file", file=self._pools.source)

    async def lanes(self, caller: Caller, *, limit: int, cursor: str) -> LanePage:
        """A page of lanes. Raises KeyOfOneTenant, Unavailable."""
        caller.expect_all_tenants()
        now_ms = (await self._cell.inspect(())).now_ms
        why = {pause.scope: pause.because for pause in await read_pauses(self._cell.client, self._cell.keys)}
        view = await self._reader.snapshot()
        return await lane_page(self._cell, view, why, now_ms=now_ms, limit=limit, cursor=cursor)

    async def status(self, caller: Caller, *, lanes: int) -> CellStatus:
        """What `northstar status` says. Raises KeyOfOneTenant, Unavailable."""
        caller.expect_all_tenants()
        try:
            failing = await self._webhooks.failing()
        except NorthstarError as exc:  # what else is wrong is worth more than that nobody knows of these
            log.info("webhooks_not_looked_at", code=exc.code, error=str(exc))
            failing = ()
        return await read_status(self._cell, self._missing, lanes=lanes, reader=self._reader, webhooks=failing)

    async def pauses(self) -> tuple[Pause, ...]:
        """What is paused, by scope. Raises Unavailable."""
        return tuple(await read_pauses(self._cell.client, self._cell.keys))

    async def pause(self, caller: Caller, wanted: WantedPause) -> ScopeChanged:
        """Give out no work of a scope. Raises NoSuchScope, NoSuchPool, Unavailable."""
        changed = await pauses.pause(self._cell, wanted.scope, because=wanted.because, by=caller.by)
        return ScopeChanged(scope=wanted.scope, paused=True, changed=changed)

    async def resume(self, caller: Caller, scope: str) -> ScopeChanged:
        """Give out its work again. Raises NoSuchScope, Unavailable."""
        changed = await pauses.resume(self._cell, scope, by=caller.by)
        return ScopeChanged(scope=scope, paused=False, changed=changed)


def _shown(caller: Caller, spec: PoolSpec) -> PoolSpec:
    """The pool as the key may see it. Engines' environment may hold secrets, and models that a pool keeps may be one tenant's own."""
    if not caller.may(Scope.ADMIN):
        spec = msgspec.structs.replace(spec, engine=EngineSettings())
    if caller.tenant is not None:
        spec = msgspec.structs.replace(spec, models=msgspec.structs.replace(spec.models, keep=()))
    return spec
