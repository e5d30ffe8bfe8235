"""What a prompt asks to see: the light, the ground, and what else is in the sky."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

Colour = tuple[float, float, float]


class Ground(StrEnum):
    """What lies below the sky."""

    HILLS = "hills"
    MOUNTAINS = "mountains"
    FOREST = "forest"
    SEA = "sea"
    DESERT = "desert"
    CITY = "city"


class Light(msgspec.Struct, frozen=True, kw_only=True):
    """The colours of an hour. `stars` is how many a thousand pixels of sky hold."""

    top: Colour
    middle: Colour
    horizon: Colour
    cloud: Colour
    ground: Colour
    stars: float


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the words decide; the seed decides the rest."""

    light: Light
    ground: Ground
    aurora: bool
    moon: bool


_NIGHT: Final = Light(
    top=(6, 10, 34), middle=(20, 34, 84), horizon=(92, 96, 150), cloud=(70, 60, 130), ground=(6, 9, 22), stars=2.2
)
_LIGHTS: Final = {
    "dawn sunrise morning": Light(
        top=(28, 44, 104),
        middle=(142, 112, 168),
        horizon=(255, 196, 148),
        cloud=(255, 170, 160),
        ground=(30, 24, 48),
        stars=0.5,
    ),
    "dusk sunset evening": Light(
        top=(30, 18, 66),
        middle=(138, 48, 102),
        horizon=(255, 146, 78),
        cloud=(255, 110, 90),
        ground=(22, 10, 30),
        stars=0.8,
    ),
    "storm rain cloud clouds fog mist": Light(
        top=(18, 24, 32),
        middle=(52, 64, 78),
        horizon=(134, 146, 150),
        cloud=(120, 130, 140),
        ground=(10, 14, 18),
        stars=0.3,
    ),
    "nebula galaxy space cosmic milky": Light(
        top=(14, 4, 34), middle=(58, 16, 92), horizon=(150, 60, 140), cloud=(230, 90, 190), ground=(8, 4, 18), stars=4.0
    ),
}
_GROUNDS: Final = {
    Ground.MOUNTAINS: "mountain mountains peak peaks alps snow glacier summit",
    Ground.FOREST: "forest wood woods tree trees pine pines fir jungle",
    Ground.SEA: "sea ocean lake water river harbour coast island boat ship reflection",
    Ground.DESERT: "desert dune dunes sand caravan sahara",
    Ground.CITY: "city town street skyline tower towers houses village",
}
_AURORA: Final = "aurora northern lights polar borealis"
_MOON: Final = "moon moonlight lunar crescent"


def scene_of(prompt: str) -> Scene:
    """Read a prompt; words that are not known change nothing."""
    words = set(re.findall(r"[a-z]+", prompt.lower()))

    def told(names: str) -> bool:
        return not words.isdisjoint(names.split())

    light = next((light for names, light in _LIGHTS.items() if told(names)), _NIGHT)
    ground = next((ground for ground, names in _GROUNDS.items() if told(names)), Ground.HILLS)
    return Scene(light=light, ground=ground, aurora=told(_AURORA), moon=told(_MOON))
