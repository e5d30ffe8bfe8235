"""Keys by HTTP: made, replaced and revoked by administrators; their text is told once."""

from __future__ import annotations

import pytest

from northstar.domain.api_keys import Scope
from tests.surfaces.http.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_key_is_made_with_its_text_in_that_answer_alone(own_site: Site) -> None:
    admin = await own_site.client(Scope.ADMIN)
    made = await admin.post("/v1/keys", {"name": "ann's laptop", "scopes": ["read", "submit"], "tenant": "acme"})
    assert (made.status, made.headers["Cache-Control"]) == (201, "no-store")
    key = made.body["key"]
    assert made.headers["Location"] == f"/v1/keys/{key['id']}"
    assert (key["name"], key["scopes"], key["tenant"], key["former"]) == ("ann's laptop", ["read", "submit"], "acme", 0)
    assert (await own_site.stranger(made.body["text"]).get("/v1/jobs")).status == 200
    secret = made.body["text"].split("_")[-1]
    listed = await admin.get("/v1/keys")
    assert [one["name"] for one in listed.body["keys"]] == ["test", "ann's laptop"]
    assert secret not in str(listed.body)
    assert (await admin.get(f"/v1/keys/{key['id']}")).body == key
    first = (await admin.get("/v1/keys?limit=1")).body
    second = (await admin.get("/v1/keys", params={"limit": 1, "cursor": first["cursor"]})).body
    assert [first["keys"][0]["id"], second["keys"][0]["id"]] == [one["id"] for one in listed.body["keys"]]
    assert second["cursor"] == ""


async def test_a_key_gets_another_secret_and_ends_at_once_when_it_is_revoked(own_site: Site) -> None:
    admin = await own_site.client(Scope.ADMIN)
    made = (await admin.post("/v1/keys", {"name": "x", "scopes": ["read"]})).body
    key = made["key"]["id"]
    rotated = await admin.post(f"/v1/keys/{key}/rotate", {"grace_s": 60})
    assert (rotated.status, rotated.headers["Cache-Control"], rotated.body["key"]["former"]) == (200, "no-store", 1)
    again = await admin.post(f"/v1/keys/{key}/rotate", {"grace_s": 0})
    texts = (made["text"], rotated.body["text"], again.body["text"])
    assert [(await own_site.stranger(text).get("/v1/jobs")).status for text in texts] == [401, 401, 200]
    assert (await admin.ask("DELETE", f"/v1/keys/{key}")).body == {"id": key}
    assert (await own_site.stranger(texts[2]).get("/v1/jobs")).code == "NS_KEY_UNKNOWN"
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        for name in (key, "nothing"):
            missing = await admin.ask(method, f"/v1/keys/{name}{path}")
            assert (missing.status, missing.code) == (404, "NS_NO_SUCH_KEY"), (method, name)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "x", "scopes": ["admin"], "tenant": "acme"}, "NS_KEY_INVALID"),
        ({"name": "x", "scopes": ["root"]}, "NS_BODY_INVALID"),
        ({"name": "x", "scopes": []}, "NS_BODY_INVALID"),
        ({"scopes": ["read"]}, "NS_BODY_INVALID"),
    ],
)
async def test_what_can_be_no_key_is_refused(site: Site, body: dict[str, object], code: str) -> None:
    admin = await site.client(Scope.ADMIN)
    answer = await admin.post("/v1/keys", body)
    assert (answer.status, answer.code) == (422, code), answer.body


async def test_keys_are_no_business_of_anybody_but_administrators(site: Site) -> None:
    for other in (
        await site.client(Scope.READ, Scope.SUBMIT, Scope.MACHINE),
        await site.client(Scope.READ, Scope.SUBMIT, tenant=site.new_tenant()),
    ):
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/x"), ("DELETE", "/x"), ("POST", "/x/rotate")):
            refused = await other.ask(method, f"/v1/keys{path}")
            assert (refused.status, refused.code) == (403, "NS_SCOPE_MISSING"), (method, path)
