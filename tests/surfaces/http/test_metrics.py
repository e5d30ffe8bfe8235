"""`/metrics`: what Prometheus reads, and that nobody can make it grow."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from northstar.broker.measures import OTHER_POOL
from northstar.domain.api_keys import Scope
from tests.surfaces.http.site import Client, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def read(client: Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


async def test_jobs_are_counted_by_where_they_are_and_by_pool(own_site: Site) -> None:
    watcher = await own_site.client(Scope.READ)
    client = await own_site.client(Scope.SUBMIT, tenant="acme")
    for _ in range(3):
        await client.submit(pool="heavy")
    canceled = await client.submit()
    await client.post(f"/v1/jobs/{canceled}/cancel")
    seen = await read(watcher)
    assert seen["northstar_jobs", (("place", "waiting"),)] == 3
    assert seen["northstar_jobs_ever_total", (("outcome", "canceled"),)] == 1
    assert seen["northstar_pool_waiting", (("pool", "heavy"),)] == 3
    assert seen["northstar_pool_waiting", (("pool", "standard"),)] == 0
    assert seen["northstar_connected_machines", ()] == 0
    route = (("method", "POST"), ("route", "/v1/jobs"), ("status", "202"))
    assert seen["northstar_http_requests_total", route] == 4


async def test_paths_that_strangers_make_up_are_one_route(own_site: Site) -> None:
    watcher = await own_site.client(Scope.READ)
    before = len(await read(watcher))
    for number in range(20):
        assert (await own_site.stranger().get(f"/made/up/{number}")).status == 404
        assert (await own_site.stranger().ask("BREW", f"/v1/jobs/{number}")).status in {400, 404, 405}
        assert (await watcher.get(f"/v1/jobs/no-{number}")).status == 404
    seen = await read(watcher)
    routes = {dict(labels)["route"] for name, labels in seen if name == "northstar_http_requests_total"}
    assert len(routes) <= 4, routes
    assert len(seen) - before < 100


async def test_a_key_of_one_tenant_does_not_see_the_cell(site: Site) -> None:
    reader = await site.client(Scope.READ, tenant=site.new_tenant())
    answer = await reader.get("/metrics")
    assert (answer.status, answer.code) == (403, "NS_KEY_OF_ONE_TENANT")
    assert (await site.stranger().get("/metrics")).status == 401


async def test_a_pool_that_is_none_any_more_has_no_name_of_its_own(own_site: Site) -> None:
    await own_site.cell.declare(["pool:of-old"], by="test")
    client = await own_site.client(Scope.SUBMIT, Scope.READ)
    await client.submit(pool="of-old")
    seen = await read(client)
    assert not any(dict(labels).get("pool") == "of-old" for _, labels in seen)
    assert seen["northstar_pool_waiting", (("pool", OTHER_POOL),)] == 1


async def test_every_measure_is_explained_in_the_reference(own_site: Site) -> None:
    answer = await (await own_site.client(Scope.READ)).get("/metrics")
    page = (Path(__file__).parents[3] / "docs" / "reference" / "metrics.md").read_text()
    for family in text_string_to_metric_families(answer.body.decode()):
        if family.name.startswith("northstar_"):
            assert f"`{family.name}" in page, family.name
