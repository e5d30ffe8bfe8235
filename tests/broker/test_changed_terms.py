"""Terms that change while jobs wait: nobody leaves today's limits by being moved, and what was accepted stays accepted."""

from __future__ import annotations

import pytest

from northstar.agent.direct_link import DirectLink
from northstar.broker.terms_in_force import TermsUnreadable
from northstar.domain.errors import NorthstarError
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.requirements import Requirements
from northstar.domain.tenancy import NO_TERMS, Tenants, TenantTerms
from northstar.policy.routing.terms import RegionNotAllowed
from tests.agent.rig import Rig
from tests.broker.test_rerouting import Floor

EUROPE = TenantTerms(regions=("eu",))
AMERICA = TenantTerms(regions=("us",))
ENTERPRISE = TenantTerms(enterprise=True)


class Agreed:
    """What is agreed at the moment with the tenant of all the jobs here."""

    def __init__(self, terms: TenantTerms | NorthstarError = NO_TERMS) -> None:
        self.terms = terms

    def __call__(self) -> Tenants:
        if isinstance(self.terms, NorthstarError):
            raise self.terms
        return Tenants(tenants={"default": self.terms})


async def opened(rig: Rig, agreed: Agreed) -> Floor:
    floor = Floor(rig, tenants=agreed)
    await floor.opens()
    await rig.cell.declare(["region:eu", "region:us"], by="test")
    return floor


async def machine_in(floor: Floor, region: str, pool: str) -> DirectLink:
    link = await floor.rig.link(f"{pool}-{region}")
    described = MachineDescription(region=region)
    await link.register(
        MachineProfile(pools=(pool,), services=("waits",), region=region), described, slots=4, models=()
    )
    await floor.rig.plan()
    return link


async def test_a_job_that_is_moved_stays_in_the_regions_of_today(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    await floor.submit("a")
    agreed.terms = EUROPE
    abroad = await machine_in(floor, "us", "heavy")
    assert await floor.rerouter.step() == 0
    home = await machine_in(floor, "eu", "heavy")
    assert await floor.rerouter.step() == 1
    assert (await floor.takes(abroad), await floor.takes(home)) == ([], ["a"])


async def test_a_job_that_todays_terms_would_refuse_stays_where_it_was_accepted(rig: Rig) -> None:
    agreed = Agreed(EUROPE)
    floor = await opened(rig, agreed)
    await floor.submit("a")
    agreed.terms = AMERICA
    abroad = await machine_in(floor, "us", "heavy")
    assert await floor.rerouter.step() == 0
    with pytest.raises(RegionNotAllowed):
        await floor.submit("b", requires=Requirements(regions=("eu",)))
    home = await machine_in(floor, "eu", "fast-lane")
    assert (await floor.takes(abroad), await floor.takes(home)) == ([], ["a"])


async def test_terms_that_are_gone_do_not_widen_what_was_promised(rig: Rig) -> None:
    agreed = Agreed(EUROPE)
    floor = await opened(rig, agreed)
    await floor.submit("a")
    agreed.terms = NO_TERMS
    await machine_in(floor, "us", "heavy")
    assert await floor.rerouter.step() == 0


async def test_a_promised_pool_is_kept_when_the_promise_ends_for_later_jobs(rig: Rig) -> None:
    agreed = Agreed(ENTERPRISE)
    floor = await opened(rig, agreed)
    await floor.submit("promised")
    agreed.terms = NO_TERMS
    await floor.submit("later")
    await floor.machine("h", "heavy")
    await floor.rerouter.step()
    assert [(await floor.decision(job)).pool for job in ("promised", "later")] == ["enterprise", "heavy"]


async def test_a_job_that_waits_elsewhere_goes_to_the_enterprise_pool_once_its_tenant_has_such_terms(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    await floor.submit("a")
    agreed.terms = ENTERPRISE
    await floor.machine("h", "heavy")
    assert await floor.rerouter.step() == 0
    vault = await floor.machine("v", "enterprise")
    assert await floor.rerouter.step() == 1
    assert ((await floor.decision("a")).row, await floor.takes(vault)) == ("enterprise", ["a"])


async def test_while_the_terms_cannot_be_read_nobody_is_moved(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    await floor.submit("a")
    agreed.terms = TermsUnreadable("a newer version wrote them")
    await floor.machine("h", "heavy")
    assert await floor.rerouter.step() == 0
    agreed.terms = NO_TERMS
    assert await floor.rerouter.step() == 1
