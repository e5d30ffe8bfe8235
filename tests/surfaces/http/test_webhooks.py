"""Webhooks by HTTP: a tenant makes its own, is told of its own jobs, and reaches nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from northstar.domain.api_keys import Scope
from northstar.surfaces.http.v1.webhooks import webhook_routes
from tests.broker.webhooks.office import KEY
from tests.broker.webhooks.receiver import Receiver
from tests.broker.webhooks.receiver import receiver as running_receiver
from tests.servers import RunningServer
from tests.surfaces.http.site import Client, Site
from tests.surfaces.http.site import site as opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANY_DESK: Any = None


def routes() -> list[tuple[str, str, Scope]]:
    """Every route of webhooks, so that a new one cannot escape: method, path, scope."""
    return [
        (method, path, handler.opt["scope"])
        for handler in webhook_routes(ANY_DESK)
        for path in handler.paths
        for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"})
    ]


BODIES = {
    "PATCH /v1/webhooks/{webhook:str}": {"description": "x"},
    "POST /v1/webhooks/{webhook:str}/redeliver": {"since_ms": 0},
}


def settings_of(folder: Path) -> dict[str, Any]:
    (folder / "key").write_text(KEY)
    return {"webhooks.key_file": str(folder / "key"), "webhooks.allow_private": ["127.0.0.0/8"]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hooked(http_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("hooked")
    async with opened(http_server, folder, settings=settings_of(folder)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def client(hooked: Site) -> Client:
    return await hooked.client(Scope.SUBMIT, Scope.READ, tenant=hooked.new_tenant())


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.02)


async def made_by(client: Client, receiver: Receiver, **terms: Any) -> Any:
    answer = await client.post("/v1/webhooks", {"url": receiver.url} | terms)
    assert answer.status == 201, answer.body
    return answer.body


async def test_a_tenant_is_told_of_its_jobs_and_sees_what_became_of_each_message(
    client: Client, hooked: Site, receiver: Receiver
) -> None:
    other = await hooked.client(Scope.SUBMIT, tenant=hooked.new_tenant())
    answer = await client.post("/v1/webhooks", {"url": receiver.url, "events": ["job.submitted", "completed"]})
    webhook, secret = answer.body["webhook"], answer.body["secret"]
    assert answer.headers["Location"] == f"/v1/webhooks/{webhook['id']}"
    assert (webhook["tenant"], webhook["enabled"]) == (client.tenant, True)
    await other.submit()
    mine = await client.submit()
    await client.post(f"/v1/jobs/{mine}/cancel")
    await until(lambda: len(receiver.heard) == 2)
    assert [(one.job, one.kind) for one in receiver.heard] == [(mine, "job.submitted"), (mine, "job.canceled")]
    assert all(one.is_signed_by(secret) for one in receiver.heard)
    assert receiver.heard[-1].message["data"]["job"]["error"]["code"] == "NS_JOB_CANCELED"
    log = f"/v1/webhooks/{webhook['id']}/deliveries"
    while len(sent := (await client.get(f"{log}?status=delivered")).body["deliveries"]) < 2:
        await asyncio.sleep(0.02)
    again = await client.post(f"{log}/{sent[0]['id']}/redeliver")
    assert (again.status, again.body["status"]) == (202, "waiting")
    await until(lambda: len(receiver.heard) == 3)
    assert receiver.heard[2].id == receiver.heard[1].id
    shown = (await client.get(f"/v1/webhooks/{webhook['id']}")).body
    assert secret not in str(shown)
    assert shown["health"]["delivered"] + shown["health"]["waiting"] == 2


async def test_a_webhook_is_tried_changed_given_another_secret_and_removed(client: Client, receiver: Receiver) -> None:
    made = await made_by(client, receiver)
    path = f"/v1/webhooks/{made['webhook']['id']}"
    trial = await client.post(f"{path}/test")
    assert (trial.status, trial.body["event"]) == (202, "webhook.test")
    await until(lambda: len(receiver.heard) == 1)
    rotated = (await client.post(f"{path}/rotate", {"grace_s": 60})).body
    assert (rotated["webhook"]["former"], rotated["secret"] != made["secret"]) == (1, True)
    off = await client.ask("PATCH", path, json={"enabled": False, "description": "of the shop"})
    assert (off.body["enabled"], off.body["off"], off.body["description"]) == (
        False,
        "switched off by hand",
        "of the shop",
    )
    refused = await client.post(f"{path}/test")
    assert (refused.status, refused.code) == (409, "NS_WEBHOOK_OFF")
    assert [one["id"] for one in (await client.get("/v1/webhooks")).body["webhooks"]] == [made["webhook"]["id"]]
    assert (await client.ask("DELETE", path)).status == 204
    gone = await client.get(path)
    assert (gone.status, gone.code) == (404, "NS_NO_SUCH_WEBHOOK")


@pytest.mark.parametrize(("method", "path", "scope"), routes())
async def test_no_route_is_open_to_nobody_to_another_tenant_or_to_another_scope(
    *, hooked: Site, client: Client, receiver: Receiver, method: str, path: str, scope: Scope
) -> None:
    made = await made_by(client, receiver)
    webhook = made["webhook"]["id"]
    delivery = (await client.post(f"/v1/webhooks/{webhook}/test")).body["id"]
    asked = path.replace("{webhook:str}", webhook).replace("{delivery:str}", delivery)
    body = BODIES.get(
        f"{method} {path}", {"url": receiver.url} if method == "POST" and path == "/v1/webhooks" else None
    )
    assert (await hooked.stranger().ask(method, asked, json=body)).status == 401
    wrong = await hooked.client(Scope.READ if scope is Scope.SUBMIT else Scope.SUBMIT, tenant=client.tenant)
    refused = await wrong.ask(method, asked, json=body)
    assert (refused.status, refused.code) == (403, "NS_SCOPE_MISSING")
    foreign = await hooked.client(Scope.SUBMIT, Scope.READ, tenant=hooked.new_tenant())
    answer = await foreign.ask(method, asked, json=body)
    if "{webhook" in path:
        assert (answer.status, answer.code) == (404, "NS_NO_SUCH_WEBHOOK")
    else:
        assert webhook not in str(answer.body)
    assert (await client.get(f"/v1/webhooks/{webhook}")).body["description"] == ""


async def test_who_may_not_read_is_not_told_by_a_webhook_either(hooked: Site, receiver: Receiver) -> None:
    tenant = hooked.new_tenant()
    blind = await hooked.client(Scope.SUBMIT, tenant=tenant)
    refused = await blind.post("/v1/webhooks", {"url": receiver.url})
    assert (refused.status, refused.code) == (403, "NS_SCOPE_MISSING")
    seeing = await hooked.client(Scope.SUBMIT, Scope.READ, tenant=tenant)
    webhook = (await made_by(seeing, receiver))["webhook"]["id"]
    for method, path, body in (("PATCH", "", {"url": receiver.url + "/mine"}), ("POST", "/rotate", {})):
        answer = await blind.ask(method, f"/v1/webhooks/{webhook}{path}", json=body)
        assert (answer.status, answer.code) == (403, "NS_SCOPE_MISSING")


async def test_other_tenants_and_what_is_no_job_are_for_keys_of_all_tenants_and_admins(
    hooked: Site, client: Client, receiver: Receiver
) -> None:
    foreign = await client.post("/v1/webhooks", {"url": receiver.url, "tenant": "another"})
    assert (foreign.status, foreign.code) == (403, "NS_TENANT_FOREIGN")
    everybody = await hooked.client(Scope.SUBMIT, Scope.READ)
    of_all = (await made_by(everybody, receiver))["webhook"]
    assert of_all["tenant"] is None
    assert (await client.get(f"/v1/webhooks/{of_all['id']}")).status == 404
    refused = await everybody.post("/v1/webhooks", {"url": receiver.url, "events": ["document"]})
    assert (refused.status, refused.code) == (403, "NS_SCOPE_MISSING")
    admin = await hooked.client(Scope.ADMIN)
    of_machines = (await made_by(admin, receiver, events=["machine"]))["webhook"]["id"]
    stolen = await everybody.ask("PATCH", f"/v1/webhooks/{of_machines}", json={"url": receiver.url + "/mine"})
    assert (stolen.status, stolen.code) == (403, "NS_SCOPE_MISSING")
    for one in (of_all["id"], of_machines):
        await admin.ask("DELETE", f"/v1/webhooks/{one}")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "NS_BODY_INVALID"),
        ({"url": 7}, 422, "NS_BODY_INVALID"),
        ({"url": "https://example.com/", "colour": "red"}, 422, "NS_BODY_INVALID"),
        ({"url": "https://example.com/", "events": []}, 422, "NS_BODY_INVALID"),
        ({"url": "https://example.com/" + "x" * 3_000}, 422, "NS_BODY_INVALID"),
        ({"url": "https://exa mple.com/"}, 422, "NS_BODY_INVALID"),
        ({"url": "https://example.com/", "events": ["job.suceeded"]}, 422, "NS_WEBHOOK_INVALID"),
        ({"url": "https://[fe80::1]/"}, 422, "NS_WEBHOOK_INVALID"),
        ({"url": "https://[::1"}, 422, "NS_WEBHOOK_INVALID"),
        ({"url": "https://example.com:99999/"}, 422, "NS_WEBHOOK_INVALID"),
        ({"url": "http://169.254.169.254/latest/meta-data/"}, 422, "NS_WEBHOOK_INVALID"),
        ({"url": "https://example.com/", "events": ["machine"]}, 403, "NS_SCOPE_MISSING"),
    ],
)
async def test_what_no_webhook_can_be_is_refused_by_name(
    client: Client, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.post("/v1/webhooks", body)
    assert (answer.status, answer.code) == (status, code), answer.body
    assert (await client.get("/v1/webhooks")).body["webhooks"] == []


async def test_strange_ids_and_cursors_are_answered_and_do_no_harm(client: Client, receiver: Receiver) -> None:
    webhook = (await made_by(client, receiver))["webhook"]["id"]
    for path in ("nothing", "%00", "..%2Fkeys", "x" * 500, webhook.upper() + "x"):
        assert (await client.get(f"/v1/webhooks/{path}")).status == 404, path
    for path in ("msg_%00", "msg_x", "%F0%9F%92%A9", "x" * 500):
        answer = await client.get(f"/v1/webhooks/{webhook}/deliveries/{path}")
        assert (answer.status, answer.code) == (404, "NS_NO_SUCH_DELIVERY"), path
    for query in ("cursor=1.%00", "cursor=x", "cursor=99999999999999999999.a", "limit=0", "status=asleep"):
        assert (await client.get(f"/v1/webhooks/{webhook}/deliveries?{query}")).status in {400, 422}, query


async def test_without_the_installations_key_no_webhook_is_made_and_the_cure_is_said(
    http_server: RunningServer, tmp_path: Path, receiver: Receiver
) -> None:
    async with opened(http_server, tmp_path, settings={"webhooks.allow_private": ["127.0.0.1"]}) as site:
        client = await site.client(Scope.SUBMIT, Scope.READ, tenant="acme")
        answer = await client.post("/v1/webhooks", {"url": receiver.url})
        assert (answer.status, answer.code) == (503, "NS_WEBHOOK_KEY_MISSING")
        assert "openssl rand -base64 32" in answer.body["detail"]


async def test_two_brokers_of_one_cell_and_those_who_come_after_them_tell_of_each_event_once(
    http_server: RunningServer, tmp_path: Path, receiver: Receiver
) -> None:
    settings = settings_of(tmp_path) | {"history.url": f"sqlite:///{tmp_path}/shared.db"}
    jobs = [f"j{number}" for number in range(20)]
    async with opened(http_server, tmp_path, settings=settings) as one:
        async with opened(http_server, tmp_path, cell=one.cell.name, settings=settings):
            client = await one.client(Scope.SUBMIT, Scope.READ, tenant="acme")
            await made_by(client, receiver, events=["job.submitted"])
            for job in jobs[:10]:
                await client.submit(id=job)
            await until(lambda: len(receiver.heard) >= 10)
        for job in jobs[10:]:
            await client.submit(id=job)
    async with opened(http_server, tmp_path, cell=one.cell.name, settings=settings):
        await until(lambda: len(receiver.heard) >= 20)
    assert sorted(one.job for one in receiver.heard) == sorted(jobs)
