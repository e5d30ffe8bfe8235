"""Keys: who is let in, to what, and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.assembly.keys import keys_of
from northstar.domain.api_keys import KeyInvalid, KeyTerms, Scope
from tests.servers import RunningServer
from tests.surfaces.http.site import SERVICE, Site
from tests.surfaces.http.site import site as opened

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ("", "NS_KEY_MISSING"),
        ("nonsense", "NS_KEY_UNREADABLE"),
        ("nsm_aaaaaaaaaaaaaaaa_" + "a" * 39, "NS_KEY_UNREADABLE"),
    ],
)
async def test_nothing_is_open_without_a_key(site: Site, shown: str, code: str) -> None:
    answer = await site.stranger(shown).get("/v1/jobs")
    assert (answer.status, answer.code) == (401, code)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert shown not in str(answer.body) or not shown


async def test_a_key_that_is_revoked_counts_no_more_anywhere_at_once(
    own_site: Site, http_server: RunningServer, tmp_path: Path
) -> None:
    reader = await own_site.client(Scope.READ)
    async with opened(http_server, tmp_path, cell=own_site.cell.name) as other:
        elsewhere = other.stranger(reader.key)
        assert (await reader.get("/v1/jobs")).status == 200
        assert (await elsewhere.get("/v1/jobs")).status == 200
        (view,) = await own_site.keys.views()
        await own_site.keys.revoke(view.id, by="test")
        for client in (reader, elsewhere):
            refused = await client.get("/v1/jobs")
            assert (refused.status, refused.code) == (401, "NS_KEY_UNKNOWN")


async def test_a_key_of_another_cell_is_named_as_such(site: Site, http_server: RunningServer, tmp_path: Path) -> None:
    async with opened(http_server, tmp_path / "other") as other:
        theirs = await other.client(Scope.READ)
        answer = await site.stranger(theirs.key).get("/v1/jobs")
        assert (answer.status, answer.code) == (401, "NS_KEY_UNREADABLE")


async def test_a_key_does_what_its_scopes_say_and_admin_all(own_site: Site) -> None:
    reader, submitter, admin = [await own_site.client(scope) for scope in (Scope.READ, Scope.SUBMIT, Scope.ADMIN)]
    job = {"service": SERVICE}
    refused = await reader.post("/v1/jobs", job)
    assert (refused.status, refused.code) == (403, "NS_SCOPE_MISSING")
    assert (await submitter.post("/v1/jobs", job)).status == 202
    assert (await submitter.get("/v1/jobs")).status == 403
    assert (await admin.post("/v1/jobs", job)).status == 202
    assert len((await admin.get("/v1/jobs")).body["jobs"]) == 2


async def test_a_key_of_one_tenant_reaches_no_other(site: Site) -> None:
    ours, theirs = [await site.client(Scope.SUBMIT, Scope.READ, tenant=site.new_tenant()) for _ in range(2)]
    mine = await ours.submit()
    assert (await ours.get(f"/v1/jobs/{mine}")).body["tenant"] == ours.tenant
    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry"), ("PATCH", "")):
        answer = await theirs.ask(method, f"/v1/jobs/{mine}{path}", json={"priority": 1} if method == "PATCH" else None)
        assert (answer.status, answer.code) == (404, "NS_NO_SUCH_JOB"), (method, path)
    assert (await theirs.get("/v1/jobs")).body["jobs"] == []
    bulk = await theirs.post("/v1/jobs/changes", {"action": "cancel", "ids": [mine]})
    assert [(one["outcome"], one["refused"]) for one in bulk.body["jobs"]] == [("NS_NO_SUCH_JOB", True)]
    foreign = await theirs.get(f"/v1/jobs?tenant={ours.tenant}")
    assert (foreign.status, foreign.code) == (403, "NS_TENANT_FOREIGN")
    named = await theirs.post("/v1/jobs", {"service": SERVICE, "tenant": ours.tenant})
    assert (named.status, named.code) == (403, "NS_TENANT_FOREIGN")
    assert (await ours.get(f"/v1/jobs/{mine}")).body["status"] == "queued"


async def test_a_rotated_key_has_a_new_secret_and_the_former_one_for_a_while(own_site: Site) -> None:
    before = await own_site.client(Scope.READ)
    (view,) = await own_site.keys.views()
    after = own_site.stranger((await own_site.keys.rotate(view.id, grace_s=60, by="test")).key.reveal())
    assert [(await client.get("/v1/jobs")).status for client in (before, after)] == [200, 200]
    (view,) = await own_site.keys.views()
    assert view.former == 1
    last = own_site.stranger((await own_site.keys.rotate(view.id, grace_s=0, by="test")).key.reveal())
    assert [(await client.get("/v1/jobs")).status for client in (before, after, last)] == [401, 401, 200]


async def test_a_key_whose_time_is_over_says_so(site: Site) -> None:
    made = await site.keys.make(KeyTerms(name="short", scopes=(Scope.READ,), expires_in_s=0.001), by="test")
    answer = await site.stranger(made.key.reveal()).get("/v1/jobs")
    assert (answer.status, answer.code) == (401, "NS_KEY_EXPIRED")


async def test_guessing_is_slowed_down_and_locks_out_nobody_who_is_in(
    http_server: RunningServer, tmp_path: Path
) -> None:
    async with opened(
        http_server, tmp_path, settings={"serve.wrong_tokens": 3, "serve.wrong_token_every_s": 60.0}
    ) as site:
        known = await site.client(Scope.READ)
        assert (await known.get("/v1/jobs")).status == 200
        guesses = [(await site.stranger("guess").get("/v1/jobs")).status for _ in range(5)]
        assert guesses[0] == 401
        assert guesses[-1] == 429
        assert (await known.get("/v1/jobs")).status == 200


async def test_a_cell_keeps_no_secret(site: Site) -> None:
    client = await site.client(Scope.READ)
    secret = client.key.split("_")[2].encode()
    stored = await site.cell.client.execute_command("HGETALL", site.cell.keys["documents"])
    assert secret not in b"".join(part for pair in dict(stored).items() for part in pair)


async def test_the_scope_of_all_tenants_is_of_no_single_one() -> None:
    with pytest.raises(KeyInvalid, match="reaches all tenants"):
        KeyTerms(name="x", scopes=(Scope.ADMIN,), tenant="acme").check()


async def test_what_is_done_with_keys_is_in_the_events(own_site: Site) -> None:
    made = await keys_of(own_site.cell).make(KeyTerms(name="mine", scopes=(Scope.READ,)), by="ann@host")
    (view,) = await own_site.keys.views()
    assert (view.by, view.id) == ("ann@host", made.key.id)
