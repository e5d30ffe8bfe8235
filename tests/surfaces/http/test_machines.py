"""Machines by HTTP: seen by keys of all tenants, changed by those with the scope for it, and nothing lost that they run."""

from __future__ import annotations

import pytest

from northstar.domain.api_keys import Scope
from northstar.domain.machines import Gpu, MachineDescription
from northstar.domain.models import ModelHeld
from tests.surfaces.http.machinery import machine, remembered, taken
from tests.surfaces.http.site import Client, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELD = ModelHeld(name="sdxl.safetensors", size_bytes=6_900_000_000, state="disk")
SAID = MachineDescription(gpu="NVIDIA L4", gpus=(Gpu(index=0, name="NVIDIA L4"),), region="eu")
KNOWN = {"sources": ["https://models.example/flux.safetensors"], "sha256": "unknown"}


async def operator(site: Site) -> Client:
    return await site.client(Scope.READ, Scope.MACHINE)


async def test_machines_are_listed_page_by_page_and_told_in_full(own_site: Site) -> None:
    client = await operator(own_site)
    for number in range(3):
        await machine(own_site, f"m{number}", models=(HELD,), said=SAID)
    first = (await client.get("/v1/machines?limit=2")).body
    second = (await client.get(f"/v1/machines?limit=2&cursor={first['cursor']}")).body
    assert [row["id"] for row in first["machines"] + second["machines"]] == ["m0", "m1", "m2"]
    assert second["cursor"] == ""
    assert first["machines"][0] == first["machines"][0] | {
        "status": "active",
        "slots": 2,
        "services": ["works"],
        "gpu": "NVIDIA L4",
        "models": {"sdxl.safetensors": "disk"},
    }
    sheet = (await client.get("/v1/machines/m1")).body
    assert (sheet["id"], sheet["description"]["region"], sheet["held"][0]["name"]) == ("m1", "eu", "sdxl.safetensors")
    missing = await client.get("/v1/machines/nobody")
    assert (missing.status, missing.code) == (404, "NS_NO_SUCH_MACHINE")


async def test_a_machine_that_drains_gets_no_work_until_it_is_told_to_work_again(own_site: Site) -> None:
    client = await operator(own_site)
    await machine(own_site, "m")
    assert (await client.post("/v1/machines/m/drain", {"draining": True})).body == {
        "machine": "m",
        "status": "draining",
    }
    assert (await client.get("/v1/machines/m")).body["status"] == "draining"
    assert (await client.post("/v1/machines/m/drain", {"draining": False})).body["status"] == "active"
    assert (await client.get("/v1/machines/m")).body["status"] == "active"
    unclear = await client.post("/v1/machines/m/drain")
    assert (unclear.status, unclear.code) == (422, "NS_BODY_INVALID")
    assert (await client.post("/v1/machines/none/drain", {"draining": True})).code == "NS_NO_SUCH_MACHINE"


async def test_a_machine_is_removed_after_it_was_said_what_becomes_of_its_jobs(own_site: Site) -> None:
    client = await operator(own_site)
    tenant = await own_site.client(Scope.SUBMIT, Scope.READ, tenant=own_site.new_tenant())
    link = await machine(own_site, "m")
    job = await tenant.submit(service="works")
    await taken(link)
    plan = (await client.ask("DELETE", "/v1/machines/m?dry_run=true")).body
    assert (plan["removed"], plan["returned"]) == (False, 1)
    assert plan["what"] == "1 job of machine m would go back to the front of the queue, no attempt charged"
    assert (await tenant.get(f"/v1/jobs/{job}")).body["status"] == "running"
    done = (await client.ask("DELETE", "/v1/machines/m")).body
    assert (done["removed"], done["returned"]) == (True, 1)
    after = (await tenant.get(f"/v1/jobs/{job}")).body
    assert (after["status"], after["attempts"], after["recoveries"]) == ("queued", 0, 0)
    assert (await client.ask("DELETE", "/v1/machines/m")).status == 404


async def test_a_machine_is_told_which_models_to_have_and_what_it_was_told_is_listed(own_site: Site) -> None:
    client = await operator(own_site)
    link = await machine(own_site, "m")
    given = await client.post("/v1/machines/m/models/fetch", {"model": "flux.safetensors"} | KNOWN)
    assert (given.status, given.body["orders"][0]["new"]) == (202, True)
    again = await client.post("/v1/machines/m/models/fetch", {"model": "flux.safetensors"} | KNOWN)
    assert again.body["orders"] == [given.body["orders"][0] | {"new": False}]
    await client.post("/v1/machines/m/models/evict", {"model": "old.safetensors"})
    listed = (await client.get("/v1/machines/m/orders")).body
    assert [(one["what"], one["model"]) for one in listed["orders"]] == [
        ("fetch", "flux.safetensors"),
        ("evict", "old.safetensors"),
    ]
    said = {"machine": "m", "session": link.session, "order": given.body["orders"][0]["order"], "outcome": "failed"}
    why = {"code": "NS_MODEL_WRONG_HASH", "message": "it is another file"}
    await own_site.cell.call("order_ended", said | why, dict[str, int])
    await remembered(own_site)
    (ended,) = (await client.get("/v1/machines/m/orders?ended=5")).body["ended"]
    assert (ended["what"], ended["outcome"], ended["code"]) == ("fetch", "failed", "NS_MODEL_WRONG_HASH")


async def test_a_model_of_the_catalogue_is_fetched_by_its_name(own_site: Site) -> None:
    admin = await own_site.client(Scope.ADMIN)
    files = [
        KNOWN | {"name": name, "kind": "other", "sources": [f"https://models.example/{name}"]}
        for name in ("a.pt", "b.pt")
    ]
    assert (await admin.ask("PUT", "/v1/models/pair", json={"files": files})).status == 200
    await machine(own_site, "m")
    given = await admin.post("/v1/machines/m/models/fetch", {"model": "pair"})
    assert (given.status, len(given.body["orders"])) == (202, 2)
    assert {one["model"] for one in (await admin.get("/v1/machines/m/orders")).body["orders"]} == {"a.pt", "b.pt"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "unknown"}, 404, "NS_NO_SUCH_MODEL"),
        ({"model": "x.safetensors", "sha256": "unknown"}, 422, "NS_MODEL_ORDER_INVALID"),
        ({"model": "../x.safetensors"} | KNOWN, 422, "NS_MODEL_ORDER_INVALID"),
        ({"model": "x.safetensors", "sources": ["gopher://x"], "sha256": "unknown"}, 422, "NS_MODEL_ORDER_INVALID"),
        ({"modle": "x"}, 422, "NS_BODY_INVALID"),
    ],
)
async def test_what_no_machine_could_fetch_is_refused(
    own_site: Site, body: dict[str, object], status: int, code: str
) -> None:
    client = await operator(own_site)
    await machine(own_site, "m")
    answer = await client.post("/v1/machines/m/models/fetch", body)
    assert (answer.status, answer.code) == (status, code), answer.body


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/m", None),
        ("GET", "/m/orders", None),
        ("POST", "/m/drain", {"draining": True}),
        ("DELETE", "/m", None),
        ("DELETE", "/m?dry_run=true", None),
        ("POST", "/m/models/fetch", {"model": "x.safetensors"} | KNOWN),
        ("POST", "/m/models/evict", {"model": "x.safetensors"}),
        ("POST", "/m/approve", None),
        ("POST", "/m/revoke", None),
    ],
)
async def test_machines_are_no_business_of_a_key_of_one_tenant_nor_of_one_that_only_reads(
    site: Site, method: str, path: str, body: dict[str, object] | None
) -> None:
    tenant = await site.former_client(Scope.READ, Scope.MACHINE, Scope.SUBMIT, tenant=site.new_tenant())
    refused = await tenant.ask(method, f"/v1/machines{path}", json=body)
    assert (refused.status, refused.code) == (403, "NS_KEY_OF_ONE_TENANT")
    if method != "GET":
        reader = await site.client(Scope.READ, Scope.SUBMIT)
        wrong = await reader.ask(method, f"/v1/machines{path}", json=body)
        assert (wrong.status, wrong.code) == (403, "NS_SCOPE_MISSING")
