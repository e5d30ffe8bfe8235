"""The cell as a whole by HTTP: what holds, what waits, what is paused, and what is wrong with it."""

from __future__ import annotations

import msgspec
import pytest

from northstar.broker.pools_in_force import applied_pools
from northstar.config.pools import packaged_text
from northstar.domain.api_keys import Scope
from tests.surfaces.http.machinery import machine
from tests.surfaces.http.site import SERVICE, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

SDXL = {"models": [{"name": "sdxl.safetensors", "size_bytes": 6_000_000_000}]}


async def test_the_pools_in_force_are_told_with_whose_word_they_are(own_site: Site) -> None:
    reader = await own_site.client(Scope.READ)
    before = (await reader.get("/v1/pools")).body
    assert (before["mode"], before["origin"]["source"], before["origin"]["version"]) == ("pools", "packaged", 0)
    text = packaged_text().replace("traffic_share = 1.0", "traffic_share = 0.5")
    version = await applied_pools(own_site.cell).apply(text, source="mine.toml", known=None, by="ann@host")
    after = (await reader.get("/v1/pools/heavy")).body
    assert after["pool"] == "heavy"
    assert after["spec"]["compute"] == before["pools"]["heavy"]["compute"]
    assert after["origin"] == after["origin"] | {
        "source": "applied",
        "file": "mine.toml",
        "version": version,
        "by": "ann@host",
    }
    missing = await reader.get("/v1/pools/havy")
    assert (missing.status, missing.code) == (404, "NS_NO_SUCH_POOL")
    assert "did you mean 'heavy'" in missing.body["detail"]


async def test_secrets_of_engines_are_told_to_administrators_and_kept_models_to_keys_of_all_tenants(
    own_site: Site,
) -> None:
    admin, reader = [await own_site.client(scope) for scope in (Scope.ADMIN, Scope.READ)]
    tenant = await own_site.client(Scope.READ, tenant=own_site.new_tenant())
    table = "[pools.fast-lane.engine.environment]"
    text = (
        packaged_text()
        .replace(table, f'{table}\nHF_TOKEN = "very-secret"')
        .replace("keep = []", 'keep = ["rivals"]', 1)
    )
    await applied_pools(own_site.cell).apply(text, source="mine.toml", known=None, by="test")
    seen = [msgspec.json.encode((await one.get("/v1/pools")).body) for one in (admin, reader, tenant)]
    assert [b"very-secret" in text for text in seen] == [True, False, False]
    assert [b"rivals" in text for text in seen] == [True, True, False]


async def test_lanes_say_what_waits_since_when_and_why_nobody_takes_it(own_site: Site) -> None:
    reader = await own_site.client(Scope.READ)
    tenant = await own_site.client(Scope.SUBMIT, Scope.READ, tenant=own_site.new_tenant())
    await own_site.cell.declare(["model:sdxl.safetensors"], by="test")
    await tenant.submit(pool="fast-lane")
    await tenant.submit(pool="heavy", requires=SDXL)
    await tenant.submit(pool="heavy", requires=SDXL)
    await machine(own_site, "m", service=SERVICE, pool="fast-lane")
    lanes, cursor = [], ""
    for _ in range(5):
        page = (await reader.get(f"/v1/lanes?limit=1&cursor={cursor}")).body
        lanes += page["lanes"]
        cursor = page["cursor"]
        if not cursor:
            break
    fast, heavy = sorted(lanes, key=lambda lane: lane["requirement"]["pool"])
    assert (fast["waiting"], fast["machines"], fast["why_nobody"]) == (1, 1, "")
    assert fast["oldest_ms"] > 0
    assert (heavy["waiting"], heavy["machines"], heavy["requirement"]["service"]) == (2, 0, SERVICE)
    assert heavy["models"] == [{"name": "sdxl.safetensors", "size_bytes": 6_000_000_000}]
    assert "no machine serves pool heavy" in heavy["why_nobody"]
    await own_site.cell.pause("pool:heavy", because="too hot", by="test")
    (again,) = [lane for lane in (await reader.get("/v1/lanes")).body["lanes"] if lane["id"] == heavy["id"]]
    assert again["why_nobody"] == "pool heavy is paused (too hot)"


async def test_the_status_says_what_is_wrong_and_the_next_command(own_site: Site) -> None:
    reader = await own_site.client(Scope.READ)
    tenant = await own_site.client(Scope.SUBMIT, tenant=own_site.new_tenant())
    await tenant.submit()
    told = (await reader.get("/v1/status?lanes=0")).body
    assert (told["cell"], told["jobs"]["waiting"], told["totals"]["submitted"]) == (own_site.cell.name, 1, 1)
    assert told["lanes"] == []
    assert {"what": "1 job waits, and no machine is here", "command": "northstar machines invite"} in told["troubles"]


async def test_what_counts_everybodys_work_is_for_keys_of_all_tenants(site: Site) -> None:
    tenant = await site.former_client(Scope.READ, Scope.SUBMIT, Scope.MACHINE, tenant=site.new_tenant())
    for path in ("/v1/lanes", "/v1/status"):
        refused = await tenant.get(path)
        assert (refused.status, refused.code) == (403, "NS_KEY_OF_ONE_TENANT")


async def test_a_pool_is_paused_and_resumed_by_administrators_and_seen_by_everybody(own_site: Site) -> None:
    admin = await own_site.client(Scope.ADMIN)
    tenant = await own_site.former_client(Scope.READ, Scope.SUBMIT, Scope.MACHINE, tenant=own_site.new_tenant())
    paused = await admin.post("/v1/pauses", {"scope": "pool:heavy", "because": "too hot"})
    assert (paused.status, paused.body) == (200, {"scope": "pool:heavy", "paused": True, "changed": True})
    assert (await admin.post("/v1/pauses", {"scope": "pool:heavy"})).body["changed"] is False
    (seen,) = (await tenant.get("/v1/pauses")).body["pauses"]
    assert (seen["scope"], seen["because"]) == ("pool:heavy", "too hot")
    assert seen["by"].startswith("key ")
    for method, path, json in (("POST", "/v1/pauses", {"scope": "cell"}), ("DELETE", "/v1/pauses/pool:heavy", None)):
        assert (await tenant.ask(method, path, json=json)).code == "NS_SCOPE_MISSING"
    assert (await admin.ask("DELETE", "/v1/pauses/pool:heavy")).body["changed"] is True
    assert (await admin.ask("DELETE", "/v1/pauses/pool:heavy")).body["changed"] is False
    wrong = [await admin.post("/v1/pauses", {"scope": scope}) for scope in ("everything", "pool:none")]
    assert [(one.status, one.code) for one in wrong] == [(422, "NS_NO_SUCH_SCOPE"), (404, "NS_NO_SUCH_POOL")]
