"""The catalogue by HTTP: declared by administrators, found by those whose jobs may use it."""

from __future__ import annotations

import msgspec
import pytest

from northstar.domain.api_keys import Scope
from northstar.domain.models import ModelHeld
from tests.surfaces.http.machinery import machine
from tests.surfaces.http.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

BASE = {"kind": "checkpoint", "sources": ["https://models.example/base.safetensors"], "size_bytes": 6_000_000_000}


async def test_a_model_is_declared_found_by_all_its_names_and_taken_out_version_by_version(own_site: Site) -> None:
    admin = await own_site.client(Scope.ADMIN)
    path = "/v1/models/art/base.safetensors"
    new = await admin.ask("PUT", path, json=BASE | {"aliases": ["base"], "version": "1"})
    assert (new.status, new.body) == (200, {"model": "art/base.safetensors", "version": "1", "change": "new"})
    assert (await admin.ask("PUT", path, json=BASE | {"aliases": ["base"], "version": "1"})).body["change"] == "same"
    other = BASE | {"size_bytes": 7_000_000_000, "version": "1"}
    clash = await admin.ask("PUT", path, json=other)
    assert (clash.status, clash.code) == (409, "NS_MODEL_VERSION_EXISTS")
    assert (await admin.ask("PUT", f"{path}?replace=true", json=other)).body["change"] == "changed"
    assert (await admin.ask("PUT", path, json=BASE | {"version": "2"})).body["change"] == "version"
    held = ModelHeld(name="art/base.safetensors", size_bytes=6_000_000_000, state="disk")
    await machine(own_site, "m", models=(held,))
    for name in ("art/base.safetensors", "base", "base@1"):
        told = (await admin.get(f"/v1/models/{name}")).body
        assert (told["name"], told["current"]) == ("art/base.safetensors", "2")
        assert told["holders"] == {"art/base.safetensors": {"m": "disk"}}
        assert told["by"].startswith("key ")
    plan = (await admin.ask("DELETE", "/v1/models/base@1?dry_run=true")).body
    assert plan == {"model": "art/base.safetensors", "version": "1", "removed": False, "left": ["2"], "held_by": 1}
    assert (await admin.ask("DELETE", "/v1/models/base@1")).body["removed"] is True
    assert [one["version"] for one in (await admin.get(path)).body["versions"]] == ["2"]
    assert (await admin.ask("DELETE", path)).body["left"] == []
    assert ((await admin.get(path)).status, (await admin.ask("DELETE", path)).code) == (404, "NS_NO_SUCH_MODEL")


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("x.safetensors", {"sources": ["https://models.example/x"]}, "NS_CATALOGUE_ENTRY_INVALID"),
        ("x.safetensors", BASE | {"name": "y.safetensors"}, "NS_CATALOGUE_ENTRY_INVALID"),
        ("x.safetensors", BASE | {"sources": ["gopher://x"]}, "NS_CATALOGUE_ENTRY_INVALID"),
        ("x.safetensors", BASE | {"size": 1}, "NS_BODY_INVALID"),
    ],
)
async def test_what_can_never_stand_in_the_catalogue_is_refused(
    site: Site, name: str, body: dict[str, object], code: str
) -> None:
    admin = await site.client(Scope.ADMIN)
    answer = await admin.ask("PUT", f"/v1/models/{name}", json=body)
    assert (answer.status, answer.code) == (422, code), answer.body
    assert (await admin.get(f"/v1/models/{name}")).status == 404


async def test_a_tenant_finds_the_models_that_its_jobs_may_use_and_hears_of_no_others(own_site: Site) -> None:
    admin = await own_site.client(Scope.ADMIN)
    tenant = await own_site.former_client(Scope.READ, Scope.SUBMIT, Scope.MACHINE, tenant=own_site.new_tenant())
    for name, tenants in (("open", []), ("ours", [tenant.tenant, "rival"]), ("rivals", ["rival"])):
        declared = await admin.ask("PUT", f"/v1/models/{name}.safetensors", json=BASE | {"tenants": tenants})
        assert declared.status == 200, declared.body
    seen = [(await tenant.get("/v1/models?limit=1")).body]
    seen.append((await tenant.get(f"/v1/models?limit=1&cursor={seen[0]['cursor']}")).body)
    assert [model["name"] for page in seen for model in page["models"]] == ["open.safetensors", "ours.safetensors"]
    assert seen[1]["cursor"] == ""
    seen.append((await tenant.get("/v1/models/ours.safetensors")).body)
    foreign, missing = [await tenant.get(f"/v1/models/{name}.safetensors") for name in ("rivals", "rivalz")]
    assert (foreign.status, missing.status) == (404, 404)
    assert "rivals" not in missing.body["detail"]
    assert b"rival" not in msgspec.json.encode(seen)
    assert len((await admin.get("/v1/models")).body["models"]) == 3
    for method in ("PUT", "DELETE"):
        refused = await tenant.ask(method, "/v1/models/open.safetensors", json=BASE if method == "PUT" else None)
        assert (refused.status, refused.code) == (403, "NS_SCOPE_MISSING")
