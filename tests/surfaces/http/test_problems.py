"""Errors as they leave by HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from northstar.broker.gateway.doorkeeper import TooManyWrongTokens
from northstar.domain.errors import NorthstarError
from northstar.domain.refusals import TokenUnknown
from northstar.store.asset_errors import AssetMissing, AssetRetired, AssetStoreFull
from northstar.surfaces.http.problems import problem

ANY_REQUEST: Any = None


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (AssetMissing(url="file:///a"), 404, None),
        (AssetRetired(url="file:///a"), 410, None),
        (AssetStoreFull(place="file:///a"), 503, "1"),
        (TooManyWrongTokens(retry_after_s=11.2), 429, "12"),
        (TokenUnknown(), 401, None),
    ],
)
def test_an_error_has_its_status_its_code_and_the_time_to_come_back(
    error: NorthstarError, status: int, retry_after: str | None
) -> None:
    response = problem(ANY_REQUEST, error)
    told = msgspec.json.decode(response.content)
    assert (response.status_code, told["status"], told["title"]) == (status, status, error.code)
    assert response.headers.get("Retry-After") == retry_after
