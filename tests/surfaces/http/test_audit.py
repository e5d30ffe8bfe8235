"""Who did what: every administrative act by HTTP leaves an event with the key that did it."""

from __future__ import annotations

import pytest

from northstar.broker import acts
from northstar.broker.audit import Audit
from northstar.domain.api_keys import Scope
from northstar.store.history.kind_reader import KindReader
from tests.surfaces.http.machinery import machine, nonce, remembered
from tests.surfaces.http.site import Client, Site
from tests.surfaces.http.test_invites import joined

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOURCE = {"sources": ["https://models.example/x.safetensors"], "sha256": "unknown"}


async def told(client: Client) -> list[tuple[str, str]]:
    """All acts, each with its subject, in the order in which they were done."""
    found, cursor = [], ""
    while True:
        page = (await client.get(f"/v1/audit?limit=3&cursor={cursor}")).body
        assert len(page["acts"]) <= 3
        found += [(act["act"], act["subject"], act["by"]) for act in page["acts"]]
        cursor = page["cursor"]
        if not cursor:
            break
    key = f"key {client.key.split('_')[1]}"
    return [(act, subject) for act, subject, by in reversed(found) if by == key]


async def test_every_act_is_told_with_who_did_it(own_site: Site) -> None:
    admin = await own_site.client(Scope.ADMIN)
    for name in ("m1", "m2"):
        await machine(own_site, name)

    async def post(path: str, body: object = None) -> dict[str, str]:
        answer = await admin.post(path, body)
        assert answer.status in {200, 201, 202}, answer.body
        return dict(answer.body)

    async def delete(path: str) -> None:
        answer = await admin.ask("DELETE", path)
        assert answer.status == 200, answer.body

    await post("/v1/pauses", {"scope": "pool:heavy"})
    await delete("/v1/pauses/pool:heavy")
    await post("/v1/machines/m1/drain", {"draining": True})
    await post("/v1/machines/m1/drain", {"draining": False})
    await delete("/v1/machines/m1?dry_run=true")
    await delete("/v1/machines/m1")
    await post("/v1/machines/m2/models/fetch", {"model": "x.safetensors"} | SOURCE)
    await post("/v1/machines/m2/models/evict", {"model": "y.safetensors"})
    invite = await post("/v1/invites", {"approval": True, "url": "wss://x"})
    await joined(own_site, invite["token"], "m3")
    await post("/v1/machines/m3/approve")
    await post("/v1/machines/m3/revoke")
    await delete(f"/v1/invites/{invite['invite']}")
    assert (await admin.ask("PUT", "/v1/models/x.safetensors", json={"kind": "vae"} | SOURCE)).status == 200
    await delete("/v1/models/x.safetensors")
    made = await admin.post("/v1/keys", {"name": "new", "scopes": ["read"]})
    key = made.body["key"]["id"]
    await post(f"/v1/keys/{key}/rotate")
    await delete(f"/v1/keys/{key}")
    expected = [
        ("cell.paused", "pool:heavy"),
        ("cell.resumed", "pool:heavy"),
        ("machine.drain", "m1"),
        ("machine.undrain", "m1"),
        ("machine.remove", "m1"),
        ("order.given", "m2"),
        ("order.given", "m2"),
        ("machine.invited", invite["invite"]),
        ("machine.approved", "m3"),
        ("machine.revoked", "m3"),
        ("machine.invite_revoked", invite["invite"]),
        ("model.put", "x.safetensors"),
        ("model.dropped", "x.safetensors"),
        ("key.put", key),
        ("key.put", key),
        ("key.dropped", key),
    ]
    assert await told(admin) == expected
    await remembered(own_site)
    assert await told(admin) == expected


async def test_what_was_typed_is_told_beside_and_what_north_star_does_by_itself_is_not(own_site: Site) -> None:
    admin = await own_site.client(Scope.ADMIN)
    await machine(own_site, "m")
    await acts.drain(own_site.cell, "m", draining=True, by="ann@host", nonce=nonce())
    await own_site.cell.pause("cell", because="x", by="routing for ann@host")
    (latest,) = (await admin.get("/v1/audit?limit=1")).body["acts"]
    assert (latest["act"], latest["subject"], latest["by"]) == ("machine.drain", "m", "ann@host")


async def test_old_acts_are_found_a_stretch_at_a_time(own_site: Site) -> None:
    admin = await own_site.client(Scope.ADMIN, name="old")
    reader = KindReader(own_site.serve.history, cell=own_site.cell.name)
    await own_site.cell.pause("cell", because="x", by="ann@host")
    for _ in range(5):
        await admin.submit()
    await remembered(own_site)
    looks, before = 0, None
    while True:
        stretch = await reader.latest(("cell.paused",), before=before, count=10, stretch=2)
        looks += 1
        before = stretch.before
        if stretch.events or before is None:
            break
    assert [event.subject for event in stretch.events] == ["cell"]
    assert looks > 1
    page = await Audit(own_site.cell, reader).page(limit=10, cursor="")
    assert [act.act for act in page.acts] == ["cell.paused"]
    assert page.cursor == ""


async def test_the_audit_is_for_administrators(site: Site) -> None:
    for client in (
        await site.client(Scope.READ, Scope.SUBMIT, Scope.MACHINE),
        await site.client(Scope.READ, tenant=site.new_tenant()),
    ):
        refused = await client.get("/v1/audit")
        assert (refused.status, refused.code) == (403, "NS_SCOPE_MISSING")
    admin = await site.client(Scope.ADMIN)
    wrong = await admin.get("/v1/audit?cursor=nonsense")
    assert (wrong.status, wrong.code) == (422, "NS_CURSOR_INVALID")
