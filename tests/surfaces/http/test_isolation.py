"""Every route, whoever wrote it: nothing without a key, nothing with the wrong one, and nobody's jobs but one's own.

The cases come from the application's table of routes, so a new one is tested with the day on which it is there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from litestar import get

from northstar.domain.api_keys import Scope
from northstar.surfaces.http.description.examples import EXAMPLES
from northstar.surfaces.http.description.routes import Route, SocketRoute
from northstar.surfaces.http.v1.access import scope_of
from tests.servers import RunningServer
from tests.surfaces.http.route_table import APPLICATION, BEHIND_A_KEY, ROUTES, SOCKETS, name_of
from tests.surfaces.http.site import Answer, Client, Site
from tests.surfaces.http.site import site as opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: What whoever asks is answered. Machines show a token or an invite of their own.
OPEN = frozenset({
    "/",
    "/docs",
    "/health",
    "/health/live",
    "/health/ready",
    "/live/files/{file_path}",
    "/live/login",
    "/live/logout",
    "/openapi.json",
    "/ready",
})  # fmt: skip
#: WebSockets that ask for the key once they are open, since browsers cannot send it with the handshake.
ASK_INSIDE = frozenset({"/v1/live"})
OF_MACHINES = "/agent/v1/"
MARK = "very-private-words"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(http_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One that does not mind how often somebody guesses, since these tests do hardly anything else."""
    folder = tmp_path_factory.mktemp("isolated")
    async with opened(http_server, folder, settings={"serve.wrong_tokens": 0}) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def theirs(site: Site) -> tuple[Client, str]:
    """Another tenant, and the id of a job of theirs."""
    tenant = site.new_tenant()
    client = await site.client(Scope.SUBMIT, Scope.READ, tenant=tenant)
    return client, await client.submit(user=f"{MARK}-user", payload={"prompt": MARK})


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def keyring(site: Site) -> dict[Scope, Client]:
    """One client for each scope."""
    return {scope: await site.client(scope) for scope in Scope}


async def asked(client: Client, route: Route, *, job: str = "a-job", query: str = "") -> Answer:
    """Call a route as far as its table tells how."""
    path = re.sub(r"\{(\w+)\}", lambda found: job if found[1] == "job" else "something", route.path)
    body: Any = next(iter(EXAMPLES.get(route.body, {}).values()), {}) if route.body is not None else None
    timeout = aiohttp.ClientTimeout(total=20)
    return await client.ask(route.method, path + query, json=body, timeout=timeout)


@pytest.mark.parametrize("route", BEHIND_A_KEY, ids=name_of)
async def test_without_a_key_there_is_nothing(site: Site, route: Route) -> None:
    elsewhere = "nsk_" + "a" * 16 + "_" + "a" * 39
    for shown in ("", "nonsense", elsewhere, "nsk_" + "ä" * 10):
        stranger = Client(site._http, site.url)
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        path = route.path.replace("{", "").replace("}", "")
        answer = await stranger.ask(route.method, path, headers=headers)
        assert (answer.status, answer.code in {"NS_KEY_MISSING", "NS_KEY_UNREADABLE"}) == (401, True), shown


@pytest.mark.parametrize("route", BEHIND_A_KEY, ids=name_of)
async def test_with_any_other_scope_there_is_nothing(
    route: Route, keyring: dict[Scope, Client], theirs: tuple[Client, str]
) -> None:
    for scope, client in keyring.items():
        if scope in {route.scope, Scope.ADMIN}:
            continue
        answer = await asked(client, route, job=theirs[1])
        assert (answer.status, answer.code) == (403, "NS_SCOPE_MISSING"), scope
        assert MARK not in str(answer.body)


@pytest.mark.parametrize("route", [one for one in BEHIND_A_KEY if "{job}" in one.path], ids=name_of)
async def test_a_job_of_another_tenant_is_as_one_that_does_not_exist(
    site: Site, route: Route, theirs: tuple[Client, str]
) -> None:
    assert route.scope is not None
    if route.scope is Scope.ADMIN:
        return
    stranger = await site.former_client(route.scope, tenant=site.new_tenant())
    never = "never-was-one"
    found, missing = [await asked(stranger, route, job=job) for job in (theirs[1], never)]
    assert found.status in {400, 404, 422}
    assert found.status == missing.status
    assert str(found.body).replace(theirs[1], never) == str(missing.body)
    await still_there(*theirs)


@pytest.mark.parametrize("route", [one for one in BEHIND_A_KEY if "{job}" not in one.path], ids=name_of)
async def test_what_names_no_job_tells_nothing_of_another_tenant(
    site: Site, route: Route, theirs: tuple[Client, str]
) -> None:
    assert route.scope is not None
    if route.scope is Scope.ADMIN:
        return
    other, job = theirs
    stranger = await site.former_client(route.scope, tenant=site.new_tenant())
    for query in ("", f"?tenant={other.tenant}") if route.method == "GET" else ("",):
        answer = await asked(stranger, route, query=query)
        told = str(answer.body)
        assert MARK not in told
        assert job not in told
        named = any(one.name == "tenant" for one in route.parameters)
        if query and named:
            assert (answer.status, answer.code) == (403, "NS_TENANT_FOREIGN")
        elif not query:
            assert other.tenant not in told
    await still_there(other, job)


async def still_there(client: Client, job: str) -> None:
    assert (await client.get(f"/v1/jobs/{job}")).body["status"] == "queued"


@pytest.mark.long
@pytest.mark.parametrize("route", [one for one in SOCKETS if one.path.startswith("/v1/")] or [None])
async def test_a_socket_without_a_key_hears_nothing(site: Site, route: SocketRoute | None) -> None:
    if route is None:
        return  # there is none below /v1
    path = re.sub(r"\{\w+\}", "something", route.path)
    try:
        async with site._http.ws_connect(site.url + path, timeout=aiohttp.ClientWSTimeout(ws_close=5)) as socket:
            message = await socket.receive(timeout=15)
            assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED} or "NS_KEY" in str(message.data)
    except aiohttp.WSServerHandshakeError as refused:
        assert refused.status in {401, 403}  # noqa: PT017 - either end is right


# The table itself ----------------------------------------------------------------------------------------------------


async def test_no_two_routes_are_the_same() -> None:
    """Neither by address, whatever its parameters are called, nor by name."""
    places = Counter((route.method, re.sub(r"\{\w+\}", "{}", route.path)) for route in ROUTES)
    assert [place for place, count in places.items() if count > 1] == []
    names: dict[str, set[str]] = {}
    for route in (route for route in ROUTES if route.is_described):
        names.setdefault(route.name, set()).add(route.method + str(route.scope))
    assert [name for name, kinds in names.items() if len(kinds) > 1] == []


async def test_what_is_open_stands_in_a_list() -> None:
    is_open = {route.path for route in ROUTES if not route.is_guarded}
    assert {path for path in is_open if not path.startswith(OF_MACHINES)} == OPEN
    sockets = {route.path for route in SOCKETS if route.scope is None}
    assert {path for path in sockets if not path.startswith(OF_MACHINES)} == ASK_INSIDE


async def test_what_clients_ask_is_behind_a_key_wherever_it_stands() -> None:
    """A scope that a route names would be nothing without the guard that looks at it."""
    guarded = {
        path
        for route in APPLICATION.routes
        for handler in getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        if handler is not None and "scope" in handler.opt and handler.resolve_guards()
        for path in [route.path_format]
    }
    assert {route.path for route in ROUTES if route.scope} | {route.path for route in SOCKETS if route.scope} == guarded
    assert all(route.scope is not None for route in ROUTES if route.path.startswith("/v1/"))


PAGES = [route for route in ROUTES if route.is_guarded and route.scope is None]


@pytest.mark.parametrize("route", PAGES, ids=name_of)
async def test_a_page_leads_whoever_has_not_shown_a_key_to_where_one_is_shown(site: Site, route: Route) -> None:
    path = re.sub(r"\{\w+\}", "something", route.path)
    for cookie in ("", "northstar_key=nonsense", "northstar_key=nsk_" + "a" * 16 + "_" + "a" * 39):
        headers = {"Cookie": cookie} if cookie else {}
        answer = await site.stranger().ask(route.method, path, headers=headers, allow_redirects=False)
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/live/login?to=")


async def test_a_route_that_names_no_scope_is_refused() -> None:
    @get("/v1/forgotten", sync_to_thread=False)
    def forgotten() -> str:
        return ""

    with pytest.raises(LookupError, match="names no scope"):
        scope_of(forgotten)


async def test_which_methods_there_are_is_told_to_whoever_has_a_key(site: Site, keyring: dict[Scope, Client]) -> None:
    assert (await site.stranger().ask("OPTIONS", "/v1/jobs")).status == 401
    answer = await keyring[Scope.READ].ask("OPTIONS", "/v1/jobs")
    assert (answer.status, answer.headers["Allow"]) == (204, "GET, OPTIONS, POST")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/%2e%2e/%2e%2e/health",
        "/v1//jobs",
        "//v1/jobs",
        "/v1/jobs/../jobs",
        "/V1/jobs",
        "/v1/jobs;x=1",
        "/v1/jobs%00",
        "/v1/jobs/a%2fb",
        "/v1/jobs/a%0d%0aX-Evil:%201",
        "/v1/jobs/%ff%fe",
        "/health/../v1/jobs",
    ],
)
async def test_no_other_spelling_of_a_path_opens_anything(site: Site, path: str) -> None:
    import yarl

    async with site._http.get(yarl.URL(site.url + path, encoded=True)) as answer:
        assert answer.status in {400, 401, 404, 405}
        assert "X-Evil" not in answer.headers
        told = msgspec.json.decode(await answer.read())
        assert told["title"].startswith("NS_")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/jobs/%ff%fe", 404),
        ("/v1/jobs/a%00b", 404),
        ("/v1/jobs/..%2f..%2fhealth", 404),
        ("/v1/jobs/" + "x" * 5_000, 404),
        ("/v1/jobs?status=%ff%fe", 422),
        ("/v1/jobs?pool=%00", 422),
        ("/v1/jobs?limit=1&limit=2", 200),
        ("/v1/jobs?tenant[]=x&%00=%00", 422),
        ("/v1/jobs?idempotency_key=%ff", 404),
    ],
)
async def test_what_is_no_text_or_no_name_is_refused_and_no_fault(
    keyring: dict[Scope, Client], site: Site, path: str, status: int
) -> None:
    import yarl

    reader = await site.client(Scope.READ, tenant=site.new_tenant())
    async with site._http.get(
        yarl.URL(site.url + path, encoded=True), headers={"Authorization": f"Bearer {reader.key}"}
    ) as answer:
        text: Any = await answer.read()
        assert answer.status == status, text
