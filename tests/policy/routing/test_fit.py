"""A machine serves a requirement class when nothing speaks against it; what does is said."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.policy.routing.fit import decide_fit
from tests.policy.routing.builders import profile, wanted


def test_a_class_without_special_needs_fits_a_machine_of_its_pool_and_service() -> None:
    decision = decide_fit(profile(), wanted())
    assert decision.fits
    assert decision.reasons == ()


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        ({"pool": "fast"}, "is in pool standard, not fast"),
        ({"service": "video"}, "does not offer service video"),
        ({"vram_mb": 40_000}, "has 24000 MB of VRAM, the job needs 40000"),
        ({"node_packs": ("impact", "animate")}, "lacks node packs animate, impact"),
        ({"tags": ("eu",)}, "lacks tags eu"),
        ({"isolation": "acme"}, "is dedicated to nobody, the job to acme"),
    ],
)
def test_each_need_that_is_not_met_is_a_reason(need: dict[str, Any], reason: str) -> None:
    assert decide_fit(profile(), wanted(**need)).reasons == (reason,)


def test_all_reasons_are_given_at_once() -> None:
    assert len(decide_fit(profile(), wanted(pool="fast", service="video", vram_mb=40_000)).reasons) == 3


def test_exactly_the_needed_vram_is_enough() -> None:
    assert decide_fit(profile(vram_mb=24_000), wanted(vram_mb=24_000)).fits


def test_a_dedicated_machine_runs_only_what_it_is_dedicated_to() -> None:
    dedicated = profile(dedicated_to="acme")
    assert decide_fit(dedicated, wanted(isolation="acme")).fits
    assert decide_fit(dedicated, wanted()).reasons == ("is dedicated to acme, the job to nobody",)


def test_more_than_is_asked_for_does_no_harm() -> None:
    rich = profile(
        pools=("fast", "standard"), services=("picture", "video"), tags=("eu", "big"), node_packs=("a", "b", "c")
    )
    assert decide_fit(rich, wanted(tags=("eu",), node_packs=("a",), vram_mb=8_000)).fits
