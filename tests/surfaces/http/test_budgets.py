"""Budgets as a `serve` keeps to them, and what each key is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from northstar.broker.terms_in_force import applied_tenants
from northstar.domain.api_keys import Scope
from northstar.domain.machines import MachineDescription
from tests.servers import RunningServer, eventually
from tests.surfaces.http.machinery import done, machine, taken
from tests.surfaces.http.site import Client, Site
from tests.surfaces.http.site import site as opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Three cents a millisecond.
DEAR = MachineDescription(price_usd_per_hour=100_000)
QUICK = {"budget.look_every_s": 0.1}


async def agreed(site: Site, text: str) -> None:
    files = applied_tenants(site.cell)
    await files.apply(text, source="tenants.toml", known=await files.current(), by="ann@host")


async def has_it_why(client: Client, job: str, code: str) -> bool:
    place = (await client.get(f"/v1/jobs/{job}")).body["place"]
    return place is not None and place["why"].startswith(code)


async def test_a_tenant_whose_budget_is_spent_is_told_so_and_no_other_is(
    http_server: RunningServer, tmp_path: Path
) -> None:
    async with opened(http_server, tmp_path, settings=QUICK) as site:
        ours, theirs = [await site.client(Scope.SUBMIT, Scope.READ, tenant=site.new_tenant()) for _ in range(2)]
        admin = await site.client(Scope.ADMIN)
        link = await machine(site, "m", said=DEAR)
        await ours.submit(service="works", id="runs")
        await taken(link)
        waits = await ours.submit(service="works", id="waits")
        await agreed(site, f"[tenants.{ours.tenant}]\nbudget_usd_per_day = 0.01\n")

        async def is_held() -> bool:
            return await has_it_why(ours, waits, "NS_BUDGET_SPENT: the budget of tenant")

        await eventually(is_held, what="the job says that the budget is spent")
        decision = (await ours.get(f"/v1/jobs/{waits}/decision")).body
        assert decision["explanation"]["unservable"].startswith("NS_BUDGET_SPENT")
        late = (await ours.post("/v1/jobs", {"service": "works", "id": "late"})).body
        assert late["unservable"].startswith("NS_BUDGET_SPENT")
        await theirs.submit(service="works", id="other")
        assert await done(link) == "other"
        # Each key hears of its own budget, and an operator of all.
        (budget,) = (await ours.get("/v1/costs")).body["budgets"]
        assert (budget["whose"], budget["level"], budget["period"]) == (ours.tenant, "stopped", "day")
        assert (await theirs.get("/v1/costs")).body["budgets"] == []
        assert [one["whose"] for one in (await admin.get("/v1/costs")).body["budgets"]] == [ours.tenant]
        (noted,) = (await admin.get("/v1/status")).body["budgets"]
        assert (noted["whose"], noted["level"]) == (ours.tenant, "stopped")
        acts = (await admin.get("/v1/audit")).body["acts"]
        assert ("budget.stopped", ours.tenant, "budget") in {(one["act"], one["subject"], one["by"]) for one in acts}
        families = text_string_to_metric_families((await admin.get("/metrics")).body.decode())
        told = {sample.name: sample.value for family in families for sample in family.samples}
        assert told["northstar_budgets_spent"] == 1
        # Raised by an operator, it goes on at once.
        await agreed(site, f"[tenants.{ours.tenant}]\nbudget_usd_per_day = 100_000_000\n")
        assert (await taken(link)).id == "waits"


async def test_the_fleets_budget_pauses_the_cell_and_tells_tenants_no_amount(
    http_server: RunningServer, tmp_path: Path
) -> None:
    async with opened(http_server, tmp_path, settings=QUICK | {"budget.usd_per_month": 0.01}) as site:
        client = await site.client(Scope.SUBMIT, Scope.READ, tenant=site.new_tenant())
        admin = await site.client(Scope.ADMIN)
        await machine(site, "m", said=DEAR)

        async def is_paused() -> bool:
            return bool((await client.get("/v1/pauses")).body["pauses"])

        await eventually(is_paused, what="the cell is paused")
        job = await client.submit(service="works")
        assert await has_it_why(client, job, "cell is paused (NS_BUDGET_SPENT: the fleet's budget of this month")
        assert "USD" not in str((await client.get("/v1/pauses")).body)
        assert (await client.get("/v1/costs")).body["budgets"] == []
        (fleet,) = (await admin.get("/v1/costs")).body["budgets"]
        assert (fleet["whose"], fleet["period"], fleet["level"]) == ("*", "month", "stopped")
