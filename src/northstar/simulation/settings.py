"""How the deployed parts are set in a simulation: as they are set when they serve, unless somebody says otherwise."""

from __future__ import annotations

from typing import Annotated

import msgspec

from northstar.broker.dispatch import PLAN_APART_S
from northstar.domain.limits import CellLimits
from northstar.domain.pools import Pools
from northstar.policy.routing.ready_after import PatienceRule

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class SimulationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that is not the workload, the fleet or the policy. The defaults are those of `defaults.toml` and of the parts themselves."""

    #: The pools that hold; empty: those that come with North Star.
    pools: Pools | None = None
    #: What was agreed with tenants, as the text of a file that `northstar tenants apply` takes, without budgets; empty: nothing.
    tenants: str = ""
    rule: PatienceRule = PatienceRule()
    #: `dispatch.plan_every_s`: where jobs wait, what machines may take is looked at again so often.
    plan_every_s: _Seconds = 0.8
    #: Plans are at least so far apart, however often a new lane or machine asks for one.
    plan_apart_s: _Seconds = PLAN_APART_S
    #: How old a submission's view of the fleet may be.
    view_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 1.0
    #: `routing.reroute_every_s`.
    reroute_every_s: _Seconds = 2.0
    #: Finished runs are learned from so often.
    learn_every_s: _Seconds = 5.0
    #: A machine whose connection broke counts as lost after so long.
    grace_s: _Seconds = 4.0
    #: Fetches at a time on one machine (`models.parallel`).
    parallel_fetches: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    #: What time alone makes due without anybody waiting for it, such as forgetting finished jobs, is done so often.
    housekeeping_every_s: _Seconds = 10.0
    #: The simulation ends here; empty: when all jobs have ended, or nothing will happen any more.
    until_ms: int | None = None
    #: Jobs that come at the same moment are brought to the cell together, at most so many.
    batch: Annotated[int, msgspec.Meta(ge=1, le=500)] = 500

    def limits(self) -> CellLimits:
        """Of the cell: nobody renews here, since nothing can fail to; a machine is lost when its connection breaks."""
        return CellLimits(
            lease_ms=86_400_000,
            alive_ms=366 * 86_400_000,
            max_jobs=100_000_000,
            max_tenant_jobs=100_000_000,
            max_events=1_000_000_000,
            dead_retention_ms=1,
            max_machines=100_000,
        )
