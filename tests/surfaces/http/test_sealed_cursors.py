"""Cursors of lists that pass over other tenants' jobs: they tell nothing of these, and count at every broker of the cell."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from northstar.broker import dead_letters, job_lists
from northstar.domain.api_keys import Scope
from tests.servers import RunningServer
from tests.surfaces.http.machinery import failed, machine
from tests.surfaces.http.site import Client, Site
from tests.surfaces.http.site import site as opened

pytestmark = pytest.mark.asyncio(loop_scope="session")


def shown(cursor: str) -> bytes:
    """What a cursor says to whoever takes it apart."""
    return cursor.encode() + base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


async def walked(client: Client, path: str, rows: str) -> tuple[list[str], list[str]]:
    """All rows by their ids, page by page, and the cursors on the way."""
    ids: list[str] = []
    cursors: list[str] = []
    while True:
        page = (await client.get(f"{path}?limit=1&cursor={cursors[-1] if cursors else ''}")).body
        ids += [row["id"] for row in page[rows]]
        if not page["cursor"]:
            return ids, cursors
        cursors.append(page["cursor"])


async def test_a_cursor_names_no_job_of_another_tenant_and_leads_on(
    own_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (job_lists, dead_letters):
        monkeypatch.setattr(module, "_MOST_READ", 1)  # so that pages end, and begin, at jobs of theirs
    ours, theirs = [await own_site.client(Scope.SUBMIT, Scope.READ, tenant=name) for name in ("acme", "umbrella")]
    await machine(own_site, "m1")
    worker = await machine(own_site, "m2", service="breaks")
    for number in range(4):
        await theirs.submit(id=f"rivals-waiting-{number}")
        await ours.submit(id=f"ours-{number}")
        for whose, client in (("rivals", theirs), ("ours", ours)):
            await client.submit(id=f"{whose}-dead-{number}", service="breaks")
            await failed(worker)
        canceled = await theirs.submit(id=f"rivals-canceled-{number}")
        await theirs.post(f"/v1/jobs/{canceled}/cancel")
    jobs, cursors = await walked(ours, "/v1/jobs", "jobs")
    expected = [f"ours-{number}" for number in range(4)]
    assert sorted(jobs) == sorted([*expected, *(f"ours-dead-{number}" for number in range(4))])
    dead, more = await walked(ours, "/v1/dead-letters", "letters")
    assert dead == [f"ours-dead-{number}" for number in (3, 2, 1, 0)]
    assert cursors
    assert more
    assert [one for one in (*cursors, *more) if b"rival" in shown(one) or b"ours" in shown(one)] == []


async def test_every_broker_of_the_cell_reads_it_and_no_other_list_does(
    http_server: RunningServer, tmp_path: Path, own_site: Site
) -> None:
    ours = await own_site.client(Scope.SUBMIT, Scope.READ, tenant="acme")
    for number in range(3):
        await ours.submit(id=f"j{number}")
    first = (await ours.get("/v1/jobs?limit=1")).body
    cursor = first["cursor"]
    async with opened(http_server, tmp_path, cell=own_site.cell.name) as second:
        there = second.stranger(ours.key)
        rest = (await there.get(f"/v1/jobs?cursor={cursor}")).body
        assert len({job["id"] for page in (first, rest) for job in page["jobs"]}) == 3
        back = (await there.get("/v1/jobs?limit=2")).body["cursor"]
        assert len((await ours.get(f"/v1/jobs?cursor={back}")).body["jobs"]) == 1
    plain = base64.urlsafe_b64encode(b"waiting ").decode().rstrip("=")  # what none could make
    wrong = [f"/v1/dead-letters?cursor={cursor}", f"/v1/jobs?cursor={cursor[:-2]}AA", f"/v1/jobs?cursor={plain}"]
    for path in wrong:
        answer = await ours.get(path)
        assert (answer.status, answer.code) == (422, "NS_CURSOR_INVALID"), path
    everybody = await own_site.client(Scope.ADMIN)
    told = (await everybody.get("/v1/events?limit=1000")).body["events"]
    (made,) = [one for one in told if one["data"].get("kind") == "cursor_key"]
    assert set(made["data"]) == {"kind", "name", "version", "by"}
