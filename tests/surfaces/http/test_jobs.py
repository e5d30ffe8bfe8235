"""Jobs by HTTP: submitted once however often they are sent, looked at page by page, changed one by one or by the hundred."""

from __future__ import annotations

import io
from typing import Any

import pytest
import pytest_asyncio

from northstar.broker.job_desk import NOT_IDS
from northstar.domain.api_keys import Scope
from tests.surfaces.http.route_table import ROUTES
from tests.surfaces.http.site import SERVICE, Client, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def client(site: Site) -> Client:
    return await site.client(Scope.SUBMIT, Scope.READ, tenant=site.new_tenant())


async def test_a_job_is_taken_in_with_where_it_waits_and_where_more_is_told(client: Client) -> None:
    answer = await client.post("/v1/jobs", {"service": SERVICE, "payload": {"a": 1}, "user": "ann"})
    assert answer.status == 202
    taken = answer.body
    assert answer.headers["Location"] == taken["urls"]["self"] == f"/v1/jobs/{taken['id']}"
    assert (taken["pool"], taken["replayed"]) == ("fast-lane", False)
    assert taken["because"]
    assert taken["unservable"]
    job = (await client.get(taken["urls"]["self"])).body
    assert (job["status"], job["service"], job["pool"], job["tenant"]) == (
        "queued",
        SERVICE,
        "fast-lane",
        client.tenant,
    )
    assert job["place"]["position"] >= 1
    assert job["place"]["position"] >= 1  # others of this site may wait too
    assert job["place"]["why"]


async def test_the_same_call_again_is_answered_with_the_same_job(client: Client) -> None:
    job, headers = {"service": SERVICE}, {"Idempotency-Key": "order-1"}
    first, second = [await client.post("/v1/jobs", job, headers=headers) for _ in range(2)]
    assert second.body["id"] == first.body["id"]
    assert (second.body["replayed"], second.headers["Idempotency-Replayed"]) == (True, "true")
    other = await client.post("/v1/jobs", job | {"priority": 1}, headers=headers)
    assert (other.status, other.code) == (409, "NS_IDEMPOTENCY_REUSED")
    found = await client.get("/v1/jobs?idempotency_key=order-1")
    assert [one["id"] for one in found.body["jobs"]] == [first.body["id"]]
    missing = await client.get("/v1/jobs?idempotency_key=order-2")
    assert (missing.status, missing.code) == (404, "NS_NO_SUCH_JOB")


async def test_a_batch_is_taken_in_whole_or_not_at_all(client: Client) -> None:
    answer = await client.post("/v1/jobs/batch", [{"service": SERVICE, "id": f"j{n}"} for n in range(3)])
    assert [one["id"] for one in answer.body["jobs"]] == ["j0", "j1", "j2"]
    refused = await client.post("/v1/jobs/batch", [{"service": SERVICE, "id": "j9"}, {"service": "unknown-one"}])
    assert (refused.status, refused.code) == (422, "NS_UNKNOWN_WORD")
    assert refused.body["detail"].startswith("job 2: no machine here has offered service:unknown-one yet")
    assert (await client.get("/v1/jobs/j9")).status == 404


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        ({"id": "there", "priority": 7}, "NS_JOB_EXISTS", "job 2 ('there'): job there exists already"),
        ({"id": "big", "payload": {"a": "x" * 70_000}}, "NS_BODY_TOO_LARGE", "job 2 ('big'): the body of job big has"),
        ({"id": "none", "pool": "nowhere"}, "NS_UNKNOWN_WORD", "job 2 ('none'): "),
        (
            {"id": "batch"},
            "NS_INVALID_JOB",
            "job 2 ('batch'): the body does not describe a job: `id` 'batch' is a word",
        ),
        ({"id": "theirs", "tenant": "somebody-else"}, "NS_TENANT_FOREIGN", "job 2 ('theirs'): "),
        (
            {"id": "old", "idempotency_key": "used"},
            "NS_IDEMPOTENCY_REUSED",
            "job 2 ('old'): idempotency key used belongs",
        ),
    ],
)
async def test_a_refused_batch_says_which_job_it_is_and_why(client: Client, wrong: Any, code: str, said: str) -> None:
    if wrong["id"] == "there":
        await client.submit(id="there")
    if "idempotency_key" in wrong:
        await client.submit(idempotency_key="used", priority=3)
    refused = await client.post("/v1/jobs/batch", [{"service": SERVICE}, {"service": SERVICE} | wrong])
    assert refused.code == code
    assert refused.body["detail"].startswith(said)
    alone = await client.post("/v1/jobs", {"service": SERVICE} | wrong)
    assert "job 2" not in alone.body["detail"]


async def test_a_job_that_is_sent_again_is_answered_with_where_it_waits_and_why(client: Client) -> None:
    first, second = [(await client.post("/v1/jobs", {"service": SERVICE, "id": "same"})).body for _ in range(2)]
    assert (second["replayed"], second["pool"], second["because"]) == (True, first["pool"], first["because"])
    assert first["pool"]
    assert second["unservable"] == "", "that was so when it came first"


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        (
            "/v1/jobs?status=lost",
            422,
            "`status` is not possible: 'lost' is no choice; it is one of queued, offered, running",
        ),
        ("/v1/jobs?limit=0", 400, "`limit` is not possible: a whole number of at least 1 is wanted"),
        ("/v1/jobs?limit=many", 400, "`limit` is not possible: a whole number is wanted, and this is text"),
        ("/v1/history?outcome=lots", 422, "succeeded, failed"),
        ("/v1/costs?by=colour", 400, "'colour' is no choice; it is one of job, tenant, user"),
    ],
)
async def test_what_cannot_be_asked_is_told_in_plain_words_with_the_choices(
    site: Site, asked: str, status: int, said: str
) -> None:
    refused = await (await site.client(Scope.READ, Scope.ADMIN)).get(asked)
    assert refused.status == status, refused.body
    assert said in refused.body["detail"]
    assert "Expected `" not in refused.body["detail"]
    assert "enum" not in refused.body["detail"]


async def test_a_trace_that_cannot_be_read_is_passed_over(client: Client) -> None:
    for traceparent in ("nonsense", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "x" * 5_000):
        taken = await client.post("/v1/jobs", {"service": SERVICE}, headers={"traceparent": traceparent})
        assert taken.status == 202


async def test_a_batch_that_is_sent_again_under_its_key_is_the_same_jobs(client: Client) -> None:
    batch, headers = [{"service": SERVICE}, {"service": SERVICE, "idempotency_key": "own"}], {"Idempotency-Key": "b"}
    first, second = [await client.post("/v1/jobs/batch", batch, headers=headers) for _ in range(2)]
    assert [one["id"] for one in second.body["jobs"]] == [one["id"] for one in first.body["jobs"]]
    assert [one["replayed"] for one in second.body["jobs"]] == [True, True]
    for key, place in (("b.1", 0), ("own", 1)):
        found = await client.get(f"/v1/jobs?idempotency_key={key}")
        assert found.body["jobs"][0]["id"] == first.body["jobs"][place]["id"]
    long = await client.post("/v1/jobs/batch", batch, headers={"Idempotency-Key": "k" * 128})
    assert (long.status, long.code) == (422, "NS_INVALID_JOB")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "NS_MALFORMED_BODY"),
        (b"{", 400, "NS_MALFORMED_BODY"),
        (b"\xff\xfe", 400, "NS_MALFORMED_BODY"),
        (b'"text"', 422, "NS_INVALID_JOB"),
        (b'{"service": "waits", "prioritty": 1}', 422, "NS_INVALID_JOB"),
        (b'{"service": "waits", "priority": 1e99}', 422, "NS_INVALID_JOB"),
        (b"[]", 422, "NS_BATCH_TOO_LARGE"),
        (b'[{"service": "waits"}, {"service": "waits"}]', 422, "NS_BATCH_TOO_LARGE"),
        (b'{"service": "waits", "payload": ' + b'{"a":' * 100_000, 400, "NS_MALFORMED_BODY"),
        (b" " * 8_000_001, 413, "NS_BODY_TOO_LARGE"),
    ],
)
async def test_what_is_no_job_is_refused_by_name(client: Client, body: bytes, status: int, code: str) -> None:
    answer = await client.ask("POST", "/v1/jobs", data=io.BytesIO(body))
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Content-Type"].startswith("application/problem+json")


async def test_a_list_goes_on_until_there_is_no_cursor_and_leaves_nobody_out(client: Client, site: Site) -> None:
    other = await site.client(Scope.SUBMIT, tenant=site.new_tenant())
    for number in range(7):
        await client.submit(id=f"ours{number}", priority=number)
        await other.submit(id=f"theirs{number}")
    await client.post("/v1/jobs/ours0/cancel")
    seen: list[str] = []
    cursor = ""
    for _ in range(20):
        page = (await client.get(f"/v1/jobs?limit=2&cursor={cursor}")).body
        assert len(page["jobs"]) <= 2
        seen += [one["id"] for one in page["jobs"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert sorted(seen) == [f"ours{number}" for number in range(7)]
    assert seen[-1] == "ours0"
    canceled = await client.get("/v1/jobs?status=canceled")
    assert [one["id"] for one in canceled.body["jobs"]] == ["ours0"]
    assert canceled.body["jobs"][0]["error"]["code"] == "NS_JOB_CANCELED"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("status=asleep", 422, "NS_QUERY_INVALID"),
        ("statuss=queued", 422, "NS_QUERY_INVALID"),
        ("limit=0", 400, "NS_INVALID_REQUEST"),
        ("limit=501", 400, "NS_INVALID_REQUEST"),
        ("limit=many", 400, "NS_INVALID_REQUEST"),
        ("cursor=%FF", 422, "NS_CURSOR_INVALID"),
        ("cursor=bm9wbGFjZSAx", 422, "NS_CURSOR_INVALID"),
        ("pool=" + "x" * 300, 400, "NS_INVALID_REQUEST"),
    ],
)
async def test_what_no_list_is_says_what_is_wrong(client: Client, query: str, status: int, code: str) -> None:
    answer = await client.get(f"/v1/jobs?{query}")
    assert (answer.status, answer.code) == (status, code)


async def test_a_waiting_job_is_cancelled_with_who_did_it_and_stays_so(client: Client) -> None:
    job = await client.submit()
    canceled = (await client.post(f"/v1/jobs/{job}/cancel", {"because": "a better idea"})).body
    assert canceled["status"] == "canceled"
    assert "a better idea (key " in canceled["error"]["message"]
    again = await client.post(f"/v1/jobs/{job}/cancel")
    assert (again.status, again.body["status"]) == (200, "canceled")
    retried = await client.post(f"/v1/jobs/{job}/retry")
    assert retried.status == 409


async def test_the_priority_of_a_waiting_job_changes(client: Client) -> None:
    job = await client.submit()
    assert (await client.ask("PATCH", f"/v1/jobs/{job}", json={"priority": 90})).body["priority"] == 90
    wrong = await client.ask("PATCH", f"/v1/jobs/{job}", json={"priority": 101, "colour": "red"})
    assert (wrong.status, wrong.code) == (422, "NS_BODY_INVALID")
    assert (await client.get(f"/v1/jobs/{job}")).body["priority"] == 90


async def test_many_jobs_are_changed_by_filter_and_first_only_counted(client: Client) -> None:
    for number in range(5):
        await client.submit(id=f"{client.tenant}-{number}", priority=10 + number)
    meant = await client.post("/v1/jobs/changes", {"action": "cancel", "filter": {"service": SERVICE}, "dry_run": True})
    assert sorted(one["id"] for one in meant.body["jobs"]) == [f"{client.tenant}-{number}" for number in range(5)]
    assert {(await client.get(f"/v1/jobs/{client.tenant}-{number}")).body["status"] for number in range(5)} == {
        "queued"
    }
    some = await client.post("/v1/jobs/changes", {"action": "cancel", "filter": {}, "limit": 3})
    assert ([one["outcome"] for one in some.body["jobs"]], some.body["more"]) == (["canceled"] * 3, True)
    rest = await client.post("/v1/jobs/changes", {"action": "cancel", "filter": {}})
    assert (len(rest.body["jobs"]), rest.body["more"]) == (2, False)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "cancel"},
        {"action": "cancel", "ids": ["a"], "filter": {}},
        {"action": "reprioritise", "filter": {}},
        {"action": "cancel", "filter": {}, "priority": 1},
    ],
)
async def test_a_change_of_many_says_which_and_how(client: Client, change: dict[str, object]) -> None:
    answer = await client.post("/v1/jobs/changes", change)
    assert (answer.status, answer.code) == (422, "NS_BULK_UNCLEAR")


async def test_the_word_null_is_a_word_and_not_nothing(site: Site, client: Client) -> None:
    """Whoever asks for the jobs of tenant `null` does not get those of all."""
    await client.submit()
    auditor = await site.client(Scope.READ)
    for query in ("tenant=null", "service=null", "pool=null", "error_code=null"):
        assert (await auditor.get(f"/v1/jobs?{query}")).body["jobs"] == []
    for path in ("/v1/jobs?status=null", "/v1/jobs?limit=null", "/v1/history?until_ms=null"):
        assert (await auditor.get(path)).code == "NS_QUERY_INVALID"
    assert (await client.get("/v1/jobs?idempotency_key=null")).status == 404
    first, second = [
        await client.post("/v1/jobs", {"service": SERVICE}, headers={"Idempotency-Key": "null"}) for _ in range(2)
    ]
    assert first.body["id"] == second.body["id"]


async def test_a_key_of_all_tenants_is_asked_whose_idempotency_key_it_looks_for(site: Site, client: Client) -> None:
    job = await client.submit(idempotency_key="order-9")
    operator = await site.client(Scope.READ)
    answer = await operator.get("/v1/jobs?idempotency_key=order-9")
    assert (answer.status, answer.code) == (422, "NS_TENANT_UNNAMED")
    assert "`tenant`" in answer.body["detail"]
    found = await operator.get(f"/v1/jobs?idempotency_key=order-9&tenant={client.tenant}")
    assert [one["id"] for one in found.body["jobs"]] == [job]


@pytest.mark.parametrize("word", ["batch", "changes"])
async def test_no_job_is_called_as_an_address_is(client: Client, word: str) -> None:
    for path, body in (
        ("/v1/jobs", {"service": SERVICE, "id": word}),
        ("/v1/jobs/batch", [{"service": SERVICE, "id": word}]),
    ):
        answer = await client.post(path, body)
        assert (answer.status, answer.code) == (422, "NS_INVALID_JOB")
        assert repr(word) in answer.body["detail"]


async def test_every_word_beside_which_an_id_stands_in_an_address_is_known() -> None:
    under = {route.path for route in ROUTES if route.path.startswith("/v1/jobs/")}
    assert {path.split("/")[3] for path in under if "{" not in path.split("/")[3]} == NOT_IDS
