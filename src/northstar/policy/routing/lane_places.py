"""Lanes by their places: their numbers in the order in which every machine sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.policy.routing.snapshot import LaneState


def places_by_model(lanes: Iterable[LaneState]) -> dict[str, list[int]]:
    """Model -> places of the lanes that ask for it."""
    asking: dict[str, list[int]] = {}
    for place, lane in enumerate(lanes):
        for name, _ in lane.anchors:
            asking.setdefault(name, []).append(place)
    return asking


def places_by_profile(
    lanes: Iterable[LaneState], decided: Mapping[tuple[str, str], bool], present: set[str]
) -> dict[str, dict[int, None]]:
    """Profile -> places of the lanes that it fits, in order; only profiles that are `present`."""
    by_class: dict[str, list[int]] = {}
    for place, lane in enumerate(lanes):
        by_class.setdefault(lane.requirement_class, []).append(place)
    places: dict[str, list[int]] = {}
    for (profile_id, class_id), fits in decided.items():
        if fits and profile_id in present and class_id in by_class:
            places.setdefault(profile_id, []).extend(by_class[class_id])
    return {profile_id: dict.fromkeys(sorted(found)) for profile_id, found in places.items()}
