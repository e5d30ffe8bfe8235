"""What a job asks of a machine, and the lane that follows from it.

Jobs with equal requirements and anchor models wait in one *lane*; the hard part of that, without models, is the *requirement
class* (architecture, section 3). Both are written as canonical text: equal needs give equal text, on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

import msgspec

from northstar.domain.amounts import exactly
from northstar.domain.models import ModelNeed
from northstar.domain.workloads import NodeClass

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._/:+-]*$")]
#: A ComfyUI node pack, or one version of it: `impact-pack`, `impact-pack@8.1`.
Pack = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=96, pattern=r"^[a-z0-9][a-z0-9._/:+-]{0,63}(@[a-z0-9][a-z0-9._+-]{0,30})?$"),
]
Pool = Annotated[str, msgspec.Meta(min_length=1, max_length=32, pattern=r"^[a-z][a-z0-9-]*$")]
#: Where a machine stands, in its operator's words.
Region = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]

#: The isolation of work that no machine may have at present, since what it asks for and what its tenant's terms allow exclude each
#: other. No machine can be dedicated to it: it is no `Word`.
NOBODYS = "-"
#: The isolation of work that is held until there is money for it again: no machine may have it, whatever it asks for. No `Word` either.
HELD = "$"
#: Pools switched off: any machine that is not kept for somebody may take the job.
UNIFORM = "uniform"
#: Regions and node classes of one job together, bytes of JSON: they are part of the text that names its lane.
MAX_PLACES_BYTES = 8_192

#: Upper bounds of VRAM classes in MB: sizes of real cards, so that classes are few.
VRAM_CLASSES_MB = (
    0,
    2_000,
    4_000,
    6_000,
    8_000,
    10_000,
    12_000,
    16_000,
    20_000,
    24_000,
    32_000,
    40_000,
    48_000,
    80_000,
    96_000,
    141_000,
    192_000,
    288_000,
)


class Requirements(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Hard needs of a job. An empty one runs anywhere that offers its service and pool."""

    models: Annotated[tuple[ModelNeed, ...], msgspec.Meta(max_length=32)] = ()
    #: Free VRAM the job needs, MB (decimal).
    vram_mb: Annotated[int, msgspec.Meta(ge=0, le=288_000)] = 0
    #: ComfyUI node packs that must be installed; `pack` is met by any version of it, `pack@1.2` only by that one.
    node_packs: Annotated[tuple[Pack, ...], msgspec.Meta(max_length=64)] = ()
    #: Every tag must be one of the machine's.
    tags: Annotated[tuple[Word, ...], msgspec.Meta(max_length=16)] = ()
    #: Set: only a machine dedicated to this name may run the job.
    isolation: Word | None = None
    #: Only machines in one of these regions may run the job; empty: anywhere.
    regions: Annotated[tuple[Region, ...], msgspec.Meta(max_length=64)] = ()
    #: ComfyUI node classes that the machine's engine must know, beside those that every ComfyUI has.
    node_classes: Annotated[tuple[NodeClass, ...], msgspec.Meta(max_length=256)] = ()

    def __post_init__(self) -> None:
        """Bound what becomes part of the lane's text.

        Raises:
            ValueError: regions and node classes together are too long.
        """
        if (self.regions or self.node_classes) and len(_encoded(self.regions, self.node_classes)) > MAX_PLACES_BYTES:
            raise ValueError(f"regions and node_classes together may take {exactly(MAX_PLACES_BYTES)}")


def _encoded(*words: tuple[str, ...]) -> bytes:
    return msgspec.json.encode(words)


class LaneKey(msgspec.Struct, frozen=True, kw_only=True):
    """The lane of a job: its text, its class's text, and the words that must be known."""

    key: str
    requirement_class: str
    pool: str
    vram_mb: int
    words: tuple[str, ...]
    #: JSON list of (name, bytes) of the anchor models. Sizes are what the submitter says, so they make no lane of their own.
    anchors: str


class RequirementClass(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The hard part of a lane, as stored: what `policy.routing.fit` compares with a machine's profile.

    Fields with a default are left out of its text where they are empty, so the text of classes from before they existed stays.
    """

    pool: str
    service: str
    vram_mb: int
    node_packs: tuple[str, ...]
    tags: tuple[str, ...]
    isolation: str | None
    regions: tuple[str, ...] = ()
    node_classes: tuple[str, ...] = ()

    @property
    def is_barred(self) -> bool:
        """Whether no machine may have such work (`NOBODYS`)."""
        return self.isolation == NOBODYS

    @property
    def is_held(self) -> bool:
        """Whether no machine may have such work because a budget is spent (`HELD`)."""
        return self.isolation == HELD


def vram_class_mb(vram_mb: int) -> int:
    """The smallest VRAM class that holds `vram_mb`.

    >>> vram_class_mb(11_500)
    12000
    """
    return next(bound for bound in VRAM_CLASSES_MB if vram_mb <= bound)


def vram_class_within_mb(vram_mb: int) -> int:
    """The largest VRAM class that fits into `vram_mb`: whatever fits there fits here, and cards that differ in a few MB are equal.

    >>> vram_class_within_mb(24_152), vram_class_within_mb(500_000)
    (24000, 288000)
    """
    return max(bound for bound in VRAM_CLASSES_MB if bound <= vram_mb)


#: Lanes whose text is remembered: jobs of one kind come by the thousand, and making the text takes half of a submission's own time.
_LANES_KEPT = 512
#: Only of needs with so few words: clients choose what is remembered, so it is kept to a few hundred KB.
_WORDS_KEPT = 16


def lane_of(*, pool: str, service: str, requires: Requirements) -> LaneKey:
    """The lane in which a job with these needs waits."""
    if any(need.sha256 for need in requires.models):
        return _lane_with_sources(pool, service, requires)
    others = (requires.node_packs, requires.tags, requires.regions, requires.node_classes)
    if len(requires.models) + sum(map(len, others)) > _WORDS_KEPT:
        return _lane_of(pool, service, requires)
    return _remembered_lane_of(pool, service, requires)


def _lane_with_sources(pool: str, service: str, requires: Requirements) -> LaneKey:
    """Where models can be had is long, and makes no lane of its own; and what can be had anywhere, nobody needs to have offered."""
    bare = tuple(need.identity() for need in requires.models)
    lane = lane_of(pool=pool, service=service, requires=msgspec.structs.replace(requires, models=bare))
    to_be_had = {f"model:{need.name}" for need in requires.models if need.sources}
    return msgspec.structs.replace(lane, words=tuple(word for word in lane.words if word not in to_be_had))


def _lane_of(pool: str, service: str, requires: Requirements) -> LaneKey:
    hard = RequirementClass(
        pool=pool,
        service=service,
        vram_mb=vram_class_mb(requires.vram_mb),
        node_packs=tuple(sorted(set(requires.node_packs))),
        tags=tuple(sorted(set(requires.tags))),
        isolation=requires.isolation,
        regions=tuple(sorted(set(requires.regions))),
        node_classes=tuple(sorted(set(requires.node_classes))),
    )
    anchors = sorted({need.name: need for need in requires.models if need.is_anchor}.values())
    models = sorted({f"model:{need.name}" for need in requires.models})
    return _lane(hard, [(need.name, need.size_bytes) for need in anchors], models)


def lane_of_class(hard: RequirementClass, anchors: Sequence[tuple[str, int]]) -> LaneKey:
    """The lane of a class and of anchor models (name, bytes) in the order of a lane that there is already.

    It needs no word of a model: the lane from which its jobs come has asked for them.
    """
    return _lane(msgspec.structs.replace(hard, regions=tuple(sorted(set(hard.regions)))), anchors, ())


def held_lane(hard: RequirementClass, anchors: Sequence[tuple[str, int]]) -> LaneKey:
    """Where jobs of this class wait that no machine may have before there is money for them again."""
    return lane_of_class(msgspec.structs.replace(hard, isolation=HELD), anchors)


def _lane(hard: RequirementClass, anchors: Sequence[tuple[str, int]], models: Sequence[str]) -> LaneKey:
    return LaneKey(
        key=msgspec.json.encode([hard, [name for name, _ in anchors]]).decode(),
        anchors=msgspec.json.encode(anchors).decode(),
        requirement_class=msgspec.json.encode(hard).decode(),
        pool=hard.pool,
        vram_mb=hard.vram_mb,
        words=(
            # Any machine serves it, so nobody need have brought it. What nobody knows of node classes is said as a reason to wait.
            *((f"pool:{hard.pool}",) if hard.pool != UNIFORM else ()),
            f"service:{hard.service}",
            *((f"isolation:{hard.isolation}",) if hard.isolation and hard.isolation not in {NOBODYS, HELD} else ()),
            *(f"tag:{tag}" for tag in hard.tags),
            *(f"pack:{pack}" for pack in hard.node_packs),
            *(f"region:{region}" for region in hard.regions),
            *models,
        ),
    )


_remembered_lane_of = lru_cache(maxsize=_LANES_KEPT)(_lane_of)


def read_class(text: str) -> RequirementClass:
    """Read a requirement class as `lane_of` wrote it."""
    return msgspec.json.decode(text, type=RequirementClass)


def read_anchor_names(lane_key: str) -> tuple[str, ...]:
    """Names of the anchor models of a lane, from its text."""
    _, names = msgspec.json.decode(lane_key, type=tuple[msgspec.Raw, tuple[str, ...]])
    return names


def read_anchors(anchors: str) -> tuple[tuple[str, int], ...]:
    """Anchor models as (name, bytes), as `lane_of` wrote them; none for the empty text of an older lane."""
    return msgspec.json.decode(anchors, type=tuple[tuple[str, int], ...]) if anchors else ()
