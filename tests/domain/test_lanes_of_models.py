"""Models that a job brings the sources of: the same lane as ever, and no word that a machine must have offered."""

from __future__ import annotations

import msgspec
import pytest

from northstar.domain.models import ModelNeed
from northstar.domain.requirements import LaneKey, Requirements, lane_of

SHA256 = "a" * 64


def lane(*models: ModelNeed) -> LaneKey:
    return lane_of(pool="standard", service="picture", requires=Requirements(models=models))


def test_two_jobs_that_would_fetch_one_model_from_different_places_wait_in_one_lane() -> None:
    one = ModelNeed(name="sdxl", size_bytes=7, sources=("https://one.test/sdxl",), sha256=SHA256)
    two = msgspec.structs.replace(one, sources=("https://two.test/sdxl",))
    assert lane(one) == lane(two)
    assert lane(one).key == lane(ModelNeed(name="sdxl", size_bytes=7)).key


def test_a_model_that_can_be_had_need_not_have_been_offered_by_any_machine() -> None:
    had = ModelNeed(name="sdxl", sources=("https://one.test/sdxl",), sha256="unknown")
    assert lane(had).words == ("pool:standard", "service:picture")
    assert lane(had, ModelNeed(name="vae")).words == ("pool:standard", "service:picture", "model:vae")


def test_sources_without_a_hash_are_refused_and_unknown_is_said_on_purpose() -> None:
    wanted = {"name": "sdxl", "sources": ["https://one.test/sdxl"]}
    with pytest.raises(msgspec.ValidationError, match="needs its sha256"):
        msgspec.convert(wanted, ModelNeed)
    order = msgspec.convert(wanted | {"sha256": "unknown"}, ModelNeed).order()
    assert order is not None
    assert order.expected_sha256 is None


def test_a_need_without_sources_orders_nothing() -> None:
    assert ModelNeed(name="sdxl").order() is None
