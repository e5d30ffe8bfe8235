"""The words of the demo's language model: a small grammar of stories, told in one of six settings.

Every phrase is one token. A phrase belongs to one `Slot`, a slot names the slot that follows, and a phrase may belong
to a setting. The model (see `northstar.demo.tiny_model`) has exactly this table in its weights.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Setting(IntEnum):
    """Where a story takes place; words of the prompt choose it, and the story stays there."""

    SKY = 0
    SEA = 1
    FOREST = 2
    MOUNTAIN = 3
    CITY = 4
    DESERT = 5


class Slot(IntEnum):
    """What may be said next; the last phrase alone decides it."""

    OPENING = 0
    HERO = 1
    DEED = 2
    GOAL = 3
    JOINT = 4
    WITNESS = 5
    CHANGE = 6
    FIRST_STOP = 7
    CROWD = 8
    BELIEF = 9
    LESSON = 10
    TRUTH = 11
    TURN = 12
    NOTHING = 13


#: Slot -> (the slot that follows, phrases of no setting, phrases of each setting in the order of `Setting`).
GRAMMAR: Final[dict[Slot, tuple[Slot, tuple[str, ...], tuple[tuple[str, ...], ...]]]] = {
    Slot.OPENING: (
        Slot.HERO,
        (
            "One night,",
            "Long ago,",
            "Before dawn,",
            "Late in autumn,",
            "At the turn of the year,",
            "On a clear evening,",
        ),
        (),
    ),
    Slot.HERO: (
        Slot.DEED,
        (" a young traveller", " two old friends"),
        (
            (" an astronomer", " a slow comet", " the keeper of the telescope"),
            (" the last captain", " a small blue boat", " a grey whale"),
            (" a red fox", " the oldest oak", " a patient owl"),
            (" a mountain guide", " a flock of white goats", " the climber's daughter"),
            (" a tram driver", " the night baker", " a violin player"),
            (" a lost caravan", " the well digger", " a trader of salt"),
        ),
    ),
    Slot.DEED: (
        Slot.GOAL,
        (" looked up at", " waited for", " followed", " listened to", " set out towards", " dreamed of", " sang to"),
        (),
    ),
    Slot.GOAL: (
        Slot.JOINT,
        (" the north star", " a light in the distance"),
        (
            (" the silent moon", " a ring of pale planets", " the edge of the Milky Way"),
            (" the far lighthouse", " an island of birds", " the deep green water"),
            (" the whispering pines", " a path of moss", " the hidden clearing"),
            (" the highest pass", " a frozen waterfall", " the first snow"),
            (" the sleeping streets", " the clock above the station", " a window on the top floor"),
            (" the singing dunes", " a garden behind the sand", " the cool of the evening"),
        ),
    ),
    Slot.JOINT: (Slot.WITNESS, (" while", " until", " because", " and"), ()),
    Slot.WITNESS: (
        Slot.CHANGE,
        (" the wind", " the world"),
        (
            (" the constellations", " a thousand stars", " the darkness between them"),
            (" the tide", " the harbour bells", " the long waves"),
            (" the leaves", " the little streams", " the birds of the wood"),
            (" the clouds below", " the glacier", " the echo"),
            (" the street lamps", " the last train", " the crowd on the bridge"),
            (" the heat", " the camels", " the shadows of the dunes"),
        ),
    ),
    Slot.CHANGE: (
        Slot.FIRST_STOP,
        (" fell silent", " began to glow", " slowly turned", " answered softly", " came home", " carried the news"),
        (),
    ),
    Slot.FIRST_STOP: (Slot.CROWD, (".",), ()),
    Slot.CROWD: (
        Slot.BELIEF,
        (" Nobody", " Everyone there", " Someone far away", " A child", " The oldest of them"),
        (),
    ),
    Slot.BELIEF: (
        Slot.LESSON,
        (" knew that", " remembered how", " had always hoped that", " understood that", " wrote down that"),
        (),
    ),
    Slot.LESSON: (
        Slot.TRUTH,
        (" a small kindness", " the long way home", " one steady light", " a good map", " such a journey"),
        (),
    ),
    Slot.TRUTH: (
        Slot.TURN,
        (" leads north.", " is enough.", " never truly ends.", " takes its time.", " begins with a question."),
        (),
    ),
    Slot.TURN: (
        Slot.HERO,
        (" By morning,", " The next evening,", " That winter,", " Many years later,", "\n\nMeanwhile,"),
        (),
    ),
}

#: Words of a prompt that set the scene. They are read, never written.
KEYWORDS: Final[dict[Setting, tuple[str, ...]]] = {
    Setting.SKY: ("star", "sky", "moon", "comet", "planet", "galaxy", "space", "night"),
    Setting.SEA: ("sea", "ocean", "ship", "boat", "whale", "sailor", "island", "lighthouse", "harbour"),
    Setting.FOREST: ("forest", "tree", "wood", "fox", "owl", "leaf", "moss"),
    Setting.MOUNTAIN: ("mountain", "snow", "peak", "glacier", "climb", "hill"),
    Setting.CITY: ("city", "street", "train", "tram", "town", "bridge", "music"),
    Setting.DESERT: ("desert", "sand", "dune", "camel", "caravan", "heat"),
}
