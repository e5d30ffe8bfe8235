"""Who may join, by HTTP: an invite's text is told once, and whoever joined is approved and put out by name."""

from __future__ import annotations

import secrets

import pytest

from northstar.domain.api_keys import Scope
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, Token, TokenKind, cell_tag
from northstar.store import admission
from tests.surfaces.http.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def joined(site: Site, text: str, machine: str) -> None:
    """A machine that has joined by the invite."""
    ids, secret = secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES)
    token = Token.make(TokenKind.MACHINE, tag=cell_tag(site.cell.name), id_bytes=ids, secret_bytes=secret)
    await admission.redeem(site.cell, Token.parse(text, TokenKind.INVITE), token, machine=machine, about="")


async def test_the_text_of_an_invite_is_in_the_answer_that_makes_it_and_nowhere_else(own_site: Site) -> None:
    client = await own_site.client(Scope.MACHINE)
    made = await client.post("/v1/invites", {"pools": ["heavy"], "uses": 2, "url": "wss://broker.example"})
    assert (made.status, made.headers["Cache-Control"]) == (201, "no-store")
    told = made.body
    assert made.headers["Location"] == f"/v1/invites/{told['invite']}"
    assert told["command"] == f"northstar agent --join wss://broker.example --token {told['token']}"
    await joined(own_site, told["token"], "m1")
    (listed,) = (await client.get("/v1/invites?open=true")).body["invites"]
    assert (listed["id"], listed["state"], listed["pools"], listed["used"]) == (told["invite"], "open", ["heavy"], 1)
    assert listed["by"].startswith("key ")
    assert told["token"].split("_")[-1] not in str(listed)
    assert (await client.ask("DELETE", f"/v1/invites/{told['invite']}")).body["changed"] is True
    assert (await client.ask("DELETE", f"/v1/invites/{told['invite']}")).body["changed"] is False
    assert (await client.get("/v1/invites?open=true")).body["invites"] == []
    assert (await client.get("/v1/invites")).body["invites"][0]["state"] == "NS_INVITE_REVOKED"
    for name in ("nothing", "aaaaaaaaaaaaaaaa"):
        missing = await client.ask("DELETE", f"/v1/invites/{name}")
        assert (missing.status, missing.code) == (404, "NS_NO_SUCH_INVITE")


async def test_an_invite_says_where_machines_dial_or_is_not_made(own_site: Site) -> None:
    client = await own_site.client(Scope.MACHINE)
    for body in ({}, {"url": "ftp://x"}):
        refused = await client.post("/v1/invites", body)
        assert (refused.status, refused.code) == (422, "NS_JOIN_URL_INVALID")
    wrong = await client.post("/v1/invites", {"uses": 0, "url": "wss://x"})
    assert (wrong.status, wrong.code) == (422, "NS_BODY_INVALID")
    assert (await client.get("/v1/invites")).body["invites"] == []


async def test_a_machine_that_waits_is_approved_and_put_out_again(own_site: Site) -> None:
    client = await own_site.client(Scope.MACHINE, Scope.READ)
    made = (await client.post("/v1/invites", {"approval": True, "uses": 2, "url": "wss://x"})).body
    await joined(own_site, made["token"], "m1")
    absent = await client.get("/v1/machines/m1")
    assert (absent.status, absent.code) == (404, "NS_MACHINE_NOT_HERE")
    assert "northstar machines approve m1" in absent.body["detail"]
    assert (await client.get("/v1/status")).body["machines_waiting"] == ["m1"]
    assert (await client.post("/v1/machines/m1/approve")).body == {"machine": "m1", "changed": True}
    assert (await client.post("/v1/machines/m1/approve")).body["changed"] is False
    out = (await client.post("/v1/machines/m1/revoke", {"because": "sold"})).body
    assert out == {"machine": "m1", "changed": True, "returned": 0, "open_invite": made["invite"]}
    refused = await client.post("/v1/machines/m1/approve")
    assert refused.code == "NS_TOKEN_REVOKED"
    assert (await client.post("/v1/machines/none/approve")).code == "NS_NO_SUCH_TOKEN"


async def test_invites_are_no_business_of_a_key_of_one_tenant(site: Site) -> None:
    tenant = await site.former_client(Scope.MACHINE, tenant=site.new_tenant())
    for method, path, body in (
        ("GET", "", None),
        ("POST", "", {"url": "wss://x"}),
        ("DELETE", "/aaaaaaaaaaaaaaaa", None),
    ):
        refused = await tenant.ask(method, f"/v1/invites{path}", json=body)
        assert (refused.status, refused.code) == (403, "NS_KEY_OF_ONE_TENANT")
