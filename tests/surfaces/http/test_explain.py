"""Why, by HTTP: the facts and the lines of `northstar explain --json`, and nothing of anybody else's work."""

from __future__ import annotations

import msgspec
import pytest

from northstar.domain.api_keys import Scope
from northstar.domain.explanation_text import explain
from northstar.domain.explanations import JobExplanation
from northstar.domain.models import ModelHeld
from tests.servers import eventually
from tests.surfaces.http.machinery import done, machine, remembered
from tests.surfaces.http.site import SERVICE, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_job_says_why_it_waits_by_the_address_that_its_submit_gave(own_site: Site) -> None:
    client = await own_site.client(Scope.SUBMIT, Scope.READ, tenant=own_site.new_tenant())
    taken = (await client.post("/v1/jobs", {"service": SERVICE})).body
    told = (await client.get(taken["urls"]["decision"])).body
    assert (told["kind"], told["explanation"]["id"], told["explanation"]["tenant"]) == (
        "job",
        taken["id"],
        client.tenant,
    )
    assert told["explanation"]["decision"]["because"] == taken["because"]
    assert told["explanation"]["place"]["position"] == 1
    action = told["explanation"]["actions"][0]
    assert action["command"].startswith("northstar machines invite --pool ")
    assert action["http"].startswith('POST /v1/invites {"pools":["')
    assert taken["actions"][0]["http"] == action["http"]
    admin = await own_site.client(Scope.ADMIN)
    body = msgspec.json.decode(action["http"].partition(" {")[2].join(["{", ""]))
    assert (await admin.post("/v1/invites", body | {"url": "wss://north.example"})).status == 201, (
        "it can be sent as it is"
    )
    lines = explain(msgspec.convert(told["explanation"], JobExplanation))
    assert told["lines"] == [{"about": line.about, "text": line.text} for line in lines]
    again = (await client.get(f"/v1/explain/job/{taken['id']}")).body
    assert again["explanation"]["decision"] == told["explanation"]["decision"]


async def test_a_job_of_somebody_else_is_as_one_that_is_not_there(own_site: Site) -> None:
    ours, theirs = [await own_site.client(Scope.SUBMIT, Scope.READ, tenant=own_site.new_tenant()) for _ in range(2)]
    job = await ours.submit()
    for path in (f"/v1/jobs/{job}/decision", f"/v1/explain/job/{job}"):
        foreign, missing = await theirs.get(path), await theirs.get(path.replace(job, "nothing"))
        assert (foreign.status, foreign.code) == (missing.status, missing.code) == (404, "NS_NO_SUCH_JOB")
        assert foreign.body["detail"] == missing.body["detail"].replace("nothing", job)


async def test_a_forgotten_job_is_told_to_its_tenant_and_not_mixed_with_another_of_its_id(own_site: Site) -> None:
    ours, theirs = [await own_site.client(Scope.SUBMIT, Scope.READ, tenant=own_site.new_tenant()) for _ in range(2)]
    link = await machine(own_site, "m")
    await ours.submit(service="works", id="job-1", retention_s=1)
    await done(link)

    async def is_forgotten() -> bool:
        return (await ours.get("/v1/jobs/job-1")).status == 404

    await eventually(is_forgotten, what="the job is forgotten")
    told = (await ours.get("/v1/jobs/job-1/decision")).body["explanation"]
    assert (told["status"], told["tenant"]) == (None, ours.tenant)
    assert told["steps"][0]["event"] == "submitted"
    assert (await theirs.get("/v1/jobs/job-1/decision")).code == "NS_NO_SUCH_JOB"
    await theirs.submit(service="works", id="job-1")
    await remembered(own_site)
    after = (await theirs.get("/v1/jobs/job-1/decision")).body
    assert ours.tenant not in msgspec.json.encode(after).decode()
    assert after["explanation"]["steps"][0]["event"] == "submitted"
    assert (await ours.get("/v1/jobs/job-1/decision")).code == "NS_NO_SUCH_JOB"


async def test_a_job_is_not_told_for_whom_a_machine_is_kept(own_site: Site) -> None:
    client = await own_site.client(Scope.SUBMIT, Scope.READ, tenant=own_site.new_tenant())
    await machine(own_site, "kept", service=SERVICE, dedicated_to="rival")
    job = await client.submit()
    told = (await client.get(f"/v1/jobs/{job}/decision")).body
    assert any("is dedicated to others" in line["text"] for line in told["lines"])
    for answer in (told, (await client.get(f"/v1/jobs/{job}")).body):
        assert "rival" not in msgspec.json.encode(answer).decode()


async def test_machines_and_models_are_explained_to_keys_of_all_tenants(own_site: Site) -> None:
    reader = await own_site.client(Scope.READ)
    tenant = await own_site.client(Scope.SUBMIT, Scope.READ, tenant=own_site.new_tenant())
    held = ModelHeld(name="art/base.safetensors", size_bytes=6_000_000_000, state="disk")
    await machine(own_site, "m", models=(held,))
    await tenant.submit()
    idle = (await reader.get("/v1/explain/machine/m")).body
    assert (idle["kind"], idle["explanation"]["code"], idle["lines"][0]["about"]) == ("machine", "blocked", "machine")
    model = (await reader.get("/v1/explain/model/art/base.safetensors")).body
    assert (model["kind"], model["explanation"]["holders"]) == ("model", ["m"])
    for path in ("machine/m", "model/art/base.safetensors", "model/none", "machine/none"):
        refused = await tenant.get(f"/v1/explain/{path}")
        assert (refused.status, refused.code) == (403, "NS_KEY_OF_ONE_TENANT"), path
    for path, code in (("machine/none", "NS_NO_SUCH_MACHINE"), ("model/none", "NS_NOTHING_KNOWN")):
        missing = await reader.get(f"/v1/explain/{path}")
        assert (missing.status, missing.code) == (404, code)
