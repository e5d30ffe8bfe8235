"""The texts that name lanes, classes and profiles: equal for equal needs, and the same as ever for needs from before."""

from __future__ import annotations

import msgspec
import pytest

from northstar.domain.machines import MachineProfile, read_profile
from northstar.domain.requirements import UNIFORM, Requirements, lane_of, read_class

PROFILE = MachineProfile(pools=("standard",), services=("picture",))


def test_a_class_without_regions_and_node_classes_has_the_text_that_it_always_had() -> None:
    lane = lane_of(pool="standard", service="picture", requires=Requirements(vram_mb=11_500, tags=("b", "a")))
    assert lane.requirement_class == (
        '{"pool":"standard","service":"picture","vram_mb":12000,"node_packs":[],"tags":["a","b"],"isolation":null}'
    )


def test_a_profile_without_region_and_node_classes_has_the_text_that_it_always_had() -> None:
    assert PROFILE.canonical() == (
        '{"pools":["standard"],"services":["picture"],"vram_mb":0,"node_packs":[],"tags":[],"dedicated_to":null}'
    )


def test_region_and_node_classes_are_part_of_what_machines_and_lanes_are() -> None:
    profile = msgspec.structs.replace(PROFILE, region="eu-west", node_set="0123456789abcdef")
    assert read_profile(profile.canonical()) == profile
    assert "region:eu-west" in profile.words()
    requires = Requirements(regions=("eu-west", "eu-north", "eu-west"), node_classes=("B", "A"))
    lane = lane_of(pool="standard", service="picture", requires=requires)
    wanted = read_class(lane.requirement_class)
    assert (wanted.regions, wanted.node_classes) == (("eu-north", "eu-west"), ("A", "B"))
    assert lane.words == ("pool:standard", "service:picture", "region:eu-north", "region:eu-west")


def test_a_machine_with_a_version_of_a_pack_has_the_pack() -> None:
    words = msgspec.structs.replace(PROFILE, node_packs=("impact@8.1",)).words()
    assert {"pack:impact", "pack:impact@8.1"} <= set(words)


def test_nobody_need_have_brought_the_pool_that_any_machine_serves() -> None:
    assert lane_of(pool=UNIFORM, service="picture", requires=Requirements()).words == ("service:picture",)


def test_regions_and_node_classes_have_an_end() -> None:
    with pytest.raises(msgspec.ValidationError, match="regions and node_classes together may take 8,192 bytes"):
        msgspec.convert({"node_classes": ["n" * 250 + str(number) for number in range(40)]}, Requirements)


@pytest.mark.parametrize("pack", ["impact@", "@8.1", "impact@8@1", "Impact", "i" * 65])
def test_a_pack_that_is_none_is_refused(pack: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"node_packs": [pack]}, Requirements)
