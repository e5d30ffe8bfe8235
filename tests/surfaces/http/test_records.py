"""Records by HTTP: what ran, what it cost, what failed for good; each tenant hears of its own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from northstar.domain.api_keys import Scope
from northstar.domain.machines import MachineDescription
from tests.surfaces.http.machinery import done, failed, machine, remembered
from tests.surfaces.http.site import Client, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def two_tenants(site: Site) -> tuple[Client, Client]:
    ours, theirs = [await site.client(Scope.SUBMIT, Scope.READ, tenant=site.new_tenant()) for _ in range(2)]
    return ours, theirs


async def test_attempts_are_told_page_by_page_each_tenant_its_own(own_site: Site) -> None:
    ours, theirs = await two_tenants(own_site)
    link = await machine(own_site, "m")
    for number in range(3):
        await ours.submit(service="works", id=f"ours-{number}")
        await done(link)
        await theirs.submit(service="works", id=f"theirs-{number}")
        await (failed(link) if number else done(link))
    await remembered(own_site)
    seen, cursor = [], ""
    for _ in range(5):
        page = (await ours.get(f"/v1/history?limit=2&cursor={cursor}")).body
        seen += [one["job_id"] for one in page["attempts"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert seen == ["ours-2", "ours-1", "ours-0"]
    assert (await ours.get("/v1/history?job=theirs-1")).body["attempts"] == []
    (one,) = (await theirs.get("/v1/history?outcome=failed&limit=1")).body["attempts"]
    assert (one["job_id"], one["machine"], one["code"]) == ("theirs-2", "m", "NS_ENGINE_BROKEN")
    assert (await ours.get(f"/v1/history?tenant={theirs.tenant}")).code == "NS_TENANT_FOREIGN"
    reader = await own_site.client(Scope.READ)
    assert len((await reader.get("/v1/history?machine=m")).body["attempts"]) == 6
    later = (await reader.get(f"/v1/history?since_ms={one['ended_ms'] + 1}")).body["attempts"]
    assert later == []


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("history?outcome=asleep", 422, "NS_QUERY_INVALID"),
        ("history?cursor=nonsense", 422, "NS_HISTORY_QUERY_INVALID"),
        ("history?since_ms=-1", 400, "NS_INVALID_REQUEST"),
        ("costs?by=colour", 400, "NS_INVALID_REQUEST"),
        ("costs?since_ms=10&until_ms=5", 422, "NS_HISTORY_QUERY_INVALID"),
        ("dead-letters?cursor=nonsense", 422, "NS_CURSOR_INVALID"),
        ("machines?cursor=%FF", 422, "NS_CURSOR_INVALID"),
        ("models?cursor=!", 422, "NS_CURSOR_INVALID"),
    ],
)
async def test_what_the_records_cannot_be_asked_says_what_is_wrong(
    site: Site, query: str, status: int, code: str
) -> None:
    reader = await site.client(Scope.READ)
    answer = await reader.get(f"/v1/{query}")
    assert (answer.status, answer.code) == (status, code), answer.body


async def test_costs_are_told_to_a_tenant_of_its_runs_alone_and_idle_time_to_operators(own_site: Site) -> None:
    ours, theirs = await two_tenants(own_site)
    link = await machine(own_site, "m", said=MachineDescription(price_usd_per_hour=2.0))
    await ours.submit(service="works", id="our-job")
    await done(link)
    await theirs.submit(service="works", id="their-job")
    await done(link)
    await remembered(own_site)
    reader = await own_site.client(Scope.READ)
    whole = (await reader.get("/v1/costs")).body
    assert {line["name"]: line["runs"] for line in whole["costs"]} == {ours.tenant: 1, theirs.tenant: 1}
    assert (whole["busy"]["runs"], whole["machines"]) == (2, 1)
    assert whole["idle"]["machine_hours"] >= 0
    mine = (await ours.get("/v1/costs?by=job")).body
    assert [line["name"] for line in mine["costs"]] == ["our-job"]
    assert (mine["busy"]["runs"], mine["idle"], mine["machines"]) == (1, None, None)
    assert mine["busy"]["usd"] == mine["costs"][0]["usd"]
    assert (await ours.get("/v1/costs")).body["costs"][0]["name"] == ours.tenant
    assert (await ours.get(f"/v1/costs?tenant={theirs.tenant}")).code == "NS_TENANT_FOREIGN"


async def test_dead_letters_are_told_the_last_first_and_no_replay_moves_a_page(own_site: Site) -> None:
    ours, theirs = await two_tenants(own_site)
    link = await machine(own_site, "m")
    for number in range(4):
        await ours.submit(service="works", id=f"ours-{number}")
        await failed(link, code="NS_ENGINE_BROKEN" if number else "NS_OTHER_FAULT")
    await theirs.submit(service="works", id="theirs")
    await failed(link)
    first = (await ours.get("/v1/dead-letters?limit=2")).body
    assert [one["id"] for one in first["letters"]] == ["ours-3", "ours-2"]
    assert (await ours.post("/v1/jobs/ours-3/retry")).status == 200
    second = (await ours.get(f"/v1/dead-letters?limit=2&cursor={first['cursor']}")).body
    assert [one["id"] for one in second["letters"]] == ["ours-1", "ours-0"]
    last = (await ours.get(f"/v1/dead-letters?limit=2&cursor={second['cursor']}")).body
    assert last == {"letters": [], "cursor": ""}
    (other,) = (await ours.get("/v1/dead-letters?code=NS_OTHER_FAULT&service=works&pool=fast-lane")).body["letters"]
    assert (other["id"], other["tenant"], other["attempts"]) == ("ours-0", ours.tenant, 1)
    assert (await ours.get("/v1/dead-letters?pool=heavy")).body["letters"] == []
    assert (await ours.get(f"/v1/dead-letters?tenant={theirs.tenant}")).code == "NS_TENANT_FOREIGN"
    assert "ours" not in msgspec.json.encode((await theirs.get("/v1/dead-letters")).body).decode()
    reader = await own_site.client(Scope.READ)
    assert len((await reader.get("/v1/dead-letters")).body["letters"]) == 4


async def test_a_history_that_cannot_be_read_is_said_to_be_away(own_site: Site, tmp_path: Path) -> None:
    admin = await own_site.client(Scope.ADMIN)
    (file,) = tmp_path.glob("history.db")
    file.rename(tmp_path / "elsewhere.db")
    for path in ("/v1/history", "/v1/costs", "/v1/audit"):
        answer = await admin.get(path)
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "NS_HISTORY_GONE", "1"), path
    assert (await admin.get("/v1/dead-letters")).status == 200
