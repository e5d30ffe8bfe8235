"""A machine serves a requirement class when nothing speaks against it; what does is said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.machines import MachineProfile
from northstar.domain.requirements import NOBODYS
from northstar.policy.routing.fit import FitDecision, decide_fit
from tests.policy.routing.builders import profile, wanted

DIGEST = "0123456789abcdef"
NODES = {DIGEST: frozenset({"KSampler", "VAEDecode"})}


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
        ({"regions": ("eu-west", "eu-north")}, "is in region us-east, not eu-west or eu-north"),
        ({"node_classes": ("KSampler", "UltimateSDUpscale")}, "lacks node classes UltimateSDUpscale"),
    ],
)
def test_each_need_that_is_not_met_is_a_reason(need: dict[str, Any], reason: str) -> None:
    known = profile(region="us-east", node_set=DIGEST)
    assert decide_fit(known, wanted(**need), NODES) == FitDecision((reason,))


def test_all_reasons_are_given_at_once() -> None:
    assert len(decide_fit(profile(), wanted(pool="fast", service="video", vram_mb=40_000)).reasons) == 3


def test_exactly_the_needed_vram_is_enough() -> None:
    assert decide_fit(profile(vram_mb=24_000), wanted(vram_mb=24_000)).fits


def test_a_dedicated_machine_runs_only_what_it_is_dedicated_to() -> None:
    dedicated = profile(dedicated_to="acme")
    assert decide_fit(dedicated, wanted(isolation="acme")).fits
    assert decide_fit(dedicated, wanted()).reasons == ("is dedicated to others, the job to nobody",)


def test_more_than_is_asked_for_does_no_harm() -> None:
    rich = profile(
        pools=("fast", "standard"), services=("picture", "video"), tags=("eu", "big"), node_packs=("a", "b", "c")
    )
    assert decide_fit(rich, wanted(tags=("eu",), node_packs=("a",), vram_mb=8_000)).fits


def test_a_machine_in_one_of_the_regions_that_are_allowed_fits() -> None:
    assert decide_fit(profile(region="eu-west"), wanted(regions=("eu-north", "eu-west"))).fits


def test_a_machine_that_does_not_say_where_it_stands_is_in_no_region() -> None:
    assert decide_fit(profile(), wanted(regions=("eu-west",))).reasons == ("is in region (none said), not eu-west",)


def test_a_machine_that_knows_all_node_classes_fits() -> None:
    assert decide_fit(profile(node_set=DIGEST), wanted(node_classes=("VAEDecode",)), NODES).fits


def test_node_classes_of_a_machine_that_has_not_told_them_yet_are_no_decision_for_good() -> None:
    decision = decide_fit(profile(node_set=DIGEST), wanted(node_classes=("VAEDecode",)))
    assert decision == FitDecision(("has not told its node classes yet",), is_final=False)


def test_what_would_not_fit_anyhow_is_decided_before_the_node_classes_are_told() -> None:
    assert decide_fit(profile(node_set=DIGEST, pools=("fast",)), wanted(node_classes=("VAEDecode",))).is_final


def test_an_engine_that_tells_no_node_classes_gets_no_work_that_asks_for_some() -> None:
    assert decide_fit(profile(), wanted(node_classes=("X",)), NODES).reasons == (
        "does not tell which node classes it knows",
    )


def test_of_many_missing_node_classes_the_first_are_named() -> None:
    missing = tuple(f"N{number}" for number in range(8))
    assert decide_fit(profile(node_set=DIGEST), wanted(node_classes=missing), NODES).reasons == (
        "lacks node classes N0, N1, N2, N3, N4 and 3 more",
    )


@pytest.mark.parametrize(
    ("pack", "offered", "fits"),
    [
        ("impact", "impact", True),
        ("impact", "impact@8.1", True),
        ("impact@8.1", "impact@8.1", True),
        ("impact@8.1", "impact@8.2", False),
        ("impact@8.1", "impact", False),
    ],
)
def test_a_pack_is_met_by_any_version_and_a_version_only_by_itself(pack: str, offered: str, fits: bool) -> None:
    assert decide_fit(profile(node_packs=(offered,)), wanted(node_packs=(pack,))).fits is fits


def test_with_pools_switched_off_any_machine_fits_that_is_not_kept_for_somebody() -> None:
    """Spec, "Rollback Capabilities": "Instant fallback to uniform distribution"."""
    uniform = wanted(pool="uniform")
    assert decide_fit(profile(pools=("heavy",)), uniform).fits
    assert decide_fit(profile(pools=("enterprise",)), uniform).reasons == ("is kept for pool enterprise",)
    assert decide_fit(profile(pools=("enterprise", "standard")), uniform).fits
    assert not decide_fit(profile(pools=("heavy",), exclusive=True), uniform).fits
    assert not decide_fit(profile(dedicated_to="acme"), uniform).fits


words = st.sampled_from(["eu-west", "us-east", ""])


@given(
    here=words,
    allowed=st.sets(st.sampled_from(["eu-west", "us-east", "ap"])),
    pools=st.sampled_from(["standard", "uniform"]),
)
def test_work_never_leaves_its_regions(here: str, allowed: set[str], pools: str) -> None:
    decision = decide_fit(profile(region=here), wanted(regions=tuple(sorted(allowed)), pool=pools))
    assert decision.fits == (not allowed or here in allowed)


def test_no_machine_fits_work_that_what_it_asks_for_and_its_terms_keep_from_all() -> None:
    """Nor can any be dedicated to it: what its class says there is no word that a machine could have."""
    barred = wanted(isolation=NOBODYS)
    for offered in (profile(), profile(dedicated_to="acme")):
        decision = decide_fit(offered, barred)
        assert (decision.fits, decision.is_final, len(decision.reasons)) == (False, True, 1)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"pools": ["standard"], "services": ["picture"], "dedicated_to": NOBODYS}, MachineProfile)
