"""Where a job stands, as its own answer tells it: by the same facts as its explanation."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.assembly.routing import RoutingParts
from northstar.broker.queue_places import QueuePlaces
from northstar.domain.api_keys import Scope
from northstar.policy.routing.gpu_pace import GpuPaces
from northstar.policy.routing.ranking_terms import RankingTerms
from tests.surfaces.http.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_place_is_told_by_the_paces_of_the_plans_though_nobody_has_asked_for_an_explanation(
    own_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_by: list[Any] = []
    known = GpuPaces({"l4": 4.0, "h100": 1.0})
    monkeypatch.setattr(RoutingParts, "ranking_terms", lambda _: RankingTerms(paces=known))
    real = QueuePlaces.of

    async def noted(places: QueuePlaces, *about: Any, **more: Any) -> Any:
        gone_by.append(places.paces)
        return await real(places, *about, **more)

    monkeypatch.setattr(QueuePlaces, "of", noted)
    client = await own_site.client(Scope.SUBMIT, Scope.READ)
    job = await client.submit()
    for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/decision", f"/v1/jobs/{job}"):
        assert (await client.get(path)).status == 200
    assert [paces is known for paces in gone_by] == [True] * 3
