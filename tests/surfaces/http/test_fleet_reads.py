"""What is known of the fleet already is not read and sorted anew for one question."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.domain.api_keys import Scope
from northstar.store.snapshots import CellReader
from tests.surfaces.http.machinery import failed, machine
from tests.surfaces.http.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


def no_reader_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_about: Any, **_more: Any) -> None:
        raise AssertionError("the fleet is read by somebody who knows nothing of it")

    monkeypatch.setattr(CellReader, "__init__", refused)
    monkeypatch.setattr("northstar.broker.stored_lanes.FleetIndex", refused)


async def test_the_status_is_read_by_the_reader_of_the_process(own_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = await own_site.client(Scope.READ)
    await machine(own_site, "m")
    no_reader_begins(monkeypatch)
    status = await reader.get("/v1/status")
    assert (status.status, [one["id"] for one in status.body["machines"]]) == (200, ["m"])


async def test_a_retry_goes_by_the_view_that_submissions_go_by(own_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await own_site.client(Scope.SUBMIT, Scope.READ)
    link = await machine(own_site, "m")
    await client.submit(service="works", id="a")
    await failed(link)
    no_reader_begins(monkeypatch)
    again = await client.post("/v1/jobs/a/retry")
    assert (again.status, again.body["attempts"]) == (200, 0)
    assert await failed(link) == "a"
