"""What a machine announces: its settings first, then what was found, within the bounds of what can be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.machines import (
    MAX_DESCRIPTION_BYTES,
    MAX_PROFILE_BYTES,
    MAX_PROFILE_WORDS,
    EngineDescription,
    Gpu,
    MachineDescription,
    MachineProfile,
)
from northstar.domain.models import ModelHeld, ModelName
from northstar.domain.node_sets import NodeSet, NodeSetInvalid, packed_set
from northstar.domain.requirements import vram_class_within_mb
from northstar.policy.fleet.gpus import FoundGpus, declared_gpus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from northstar.domain.engine_facts import EngineFacts

#: As many as one report of a machine's models may name.
MAX_MODELS: Final = 500
MAX_SLOTS: Final = 500
_TROUBLE_CHARS: Final = 1_024


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of a machine. Empty, 0 or None: they leave it to what is found."""

    profile: MachineProfile
    region: str = ""
    price_usd_per_hour: float = 0.0
    gpu: str = ""
    gpus: int | None = None
    slots: int | None = None
    slots_per_gpu: int = 1
    #: Disk on which models are kept, bytes; 0: none are.
    disk_bytes: int = 0


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine tells the broker. `models` are those that its engines hold themselves."""

    profile: MachineProfile
    description: MachineDescription
    slots: int
    models: tuple[ModelHeld, ...] = ()
    #: The list of node classes that the profile names; told once for each digest.
    node_set: NodeSet | None = None


def announce(
    declared: Declared,
    found: FoundGpus,
    engines: Mapping[str, EngineFacts],
    *,
    files_are_kept: bool = False,
    troubles: Iterable[str] = (),
) -> Announcement:
    """Put together what is declared and what was found. `engines` are by service; `troubles` are sentences for people.

    With `files_are_kept` a store knows the files, and better: what it evicted an engine's list would still name. Engines that
    tell what is in their memory are believed all the same. Without, the machine says that it keeps no models.
    """
    wanted = declared.profile
    gpus = declared_gpus(found.gpus, count=declared.gpus, name=declared.gpu, vram_mb=wanted.vram_mb)
    # The smallest card counts: whoever places a job does not choose the card. As a class, so that equal machines are equal.
    vram_mb = wanted.vram_mb or vram_class_within_mb(min((gpu.vram_mb for gpu in gpus), default=0))
    node_set, nodes_left_out = shared_node_set(facts.node_class_names for facts in engines.values())
    profile = msgspec.structs.replace(
        wanted, vram_mb=vram_mb, region=declared.region, node_set=node_set.digest if node_set is not None else ""
    )
    profile, packs_left_out = with_packs(profile, (pack for facts in engines.values() for pack in facts.node_packs))
    models, models_left_out = merged_models(
        facts.models for facts in engines.values() if facts.tells_residency or not files_are_kept
    )
    said = [
        *troubles,
        *_about_memory(gpus, vram_mb=vram_mb),
        *([f"{packs_left_out} node packs are not announced, there is no room for more"] if packs_left_out else []),
        *([f"node classes are not announced: {nodes_left_out}"] if nodes_left_out else []),
        *([f"{models_left_out} models are not announced, a machine may name {MAX_MODELS}"] if models_left_out else []),
    ]
    description = MachineDescription(
        region=declared.region,
        price_usd_per_hour=declared.price_usd_per_hour,
        gpu=declared.gpu or _shared_name(gpus),
        gpus=gpus,
        driver=printable(found.driver, most=64),
        disk_bytes=declared.disk_bytes,
        keeps_models=files_are_kept,
        engines=tuple(_described(service, facts) for service, facts in sorted(engines.items())),
        trouble=printable("; ".join(said), most=_TROUBLE_CHARS),
    )
    slots = declared.slots or min(MAX_SLOTS, max(1, len(gpus)) * declared.slots_per_gpu)
    return Announcement(profile=profile, description=fitted(description), slots=slots, models=models, node_set=node_set)


def with_trouble(description: MachineDescription, trouble: str, *, takes_work: bool = True) -> MachineDescription:
    """The description with whether the machine takes work, and one more sentence of trouble before what it says already, if there is one."""
    said = "; ".join(filter(None, (trouble, description.trouble)))
    said = printable(said, most=_TROUBLE_CHARS) if trouble else description.trouble
    return fitted(msgspec.structs.replace(description, trouble=said, takes_work=takes_work))


def with_packs(profile: MachineProfile, packs: Iterable[str]) -> tuple[MachineProfile, int]:
    """The profile with these packs too, and how many had no room. Declared packs stay; of the others the first by name."""
    declared = {word for pack in profile.node_packs for word in (pack, pack.partition("@")[0])}
    more = sorted(set(packs) - declared)
    words = MAX_PROFILE_WORDS - len(profile.words())
    # Each pack is stored as its name in quotes and a comma.
    room = MAX_PROFILE_BYTES - len(profile.canonical().encode())
    kept: list[str] = []
    for pack in more:
        room -= len(pack) + 3
        if len(kept) >= words or room < 0:
            break
        kept.append(pack)
    return msgspec.structs.replace(profile, node_packs=(*profile.node_packs, *kept)), len(more) - len(kept)


def shared_node_set(lists: Iterable[frozenset[str]]) -> tuple[NodeSet | None, str]:
    """The node classes that every engine knows that knows any, and why they cannot be told.

    A job names a service, a profile a machine: what only one of two engines knows is not promised for both.
    """
    known = [names for names in lists if names]
    if not known or not (shared := frozenset.intersection(*known)):
        return None, ""
    try:
        return packed_set(shared), ""
    except NodeSetInvalid as exc:
        return None, exc.detail


def merged_models(lists: Iterable[Sequence[ModelHeld]]) -> tuple[tuple[ModelHeld, ...], int]:
    """The models of several engines, one entry a name, and how many had no room. In memory of one of them is in memory."""
    merged: dict[str, ModelHeld] = {}
    for held in (model for models in lists for model in models if _is_name(model.name)):
        known = merged.get(held.name, held)
        resident = "resident" in {held.state, known.state}
        size_bytes = max(held.size_bytes, known.size_bytes)
        merged[held.name] = ModelHeld(held.name, "resident" if resident else "disk", size_bytes)
    in_order = sorted(merged.values(), key=lambda model: model.state != "resident")  # stable: anchors stay first
    return tuple(in_order[:MAX_MODELS]), max(0, len(in_order) - MAX_MODELS)


def fitted(description: MachineDescription) -> MachineDescription:
    """The description, shorter where it would be too long to be stored: first the cards lose their ids, then engines go unsaid."""
    if _length(description) > MAX_DESCRIPTION_BYTES:
        anonymous = tuple(msgspec.structs.replace(gpu, uuid="") for gpu in description.gpus)
        description = msgspec.structs.replace(description, gpus=anonymous)
    while _length(description) > MAX_DESCRIPTION_BYTES and description.engines:
        description = msgspec.structs.replace(description, engines=description.engines[:-1])
    return description


def printable(text: str, *, most: int) -> str:
    """Somebody's text as one short line of ASCII, so that its length is its size.

    >>> printable("b4312 été", most=8)
    'b4312 ?t'
    """
    words = " ".join(text.split())
    return "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in words)[:most]


def _described(service: str, facts: EngineFacts) -> EngineDescription:
    return EngineDescription(
        service=service,
        kind=printable(facts.kind, most=32),
        version=printable(facts.version, most=64),
        node_classes=facts.node_classes,
        node_classes_digest=printable(facts.node_classes_digest, most=16),
        models=len(facts.models),
    )


def _about_memory(gpus: Sequence[Gpu], *, vram_mb: int) -> list[str]:
    sizes = {vram_class_within_mb(gpu.vram_mb) for gpu in gpus}
    if gpus and not vram_mb:
        return ["the memory of a GPU is not known, so jobs that need some are not taken; declare vram_mb"]
    if len(sizes) > 1:
        return [f"its GPUs differ, and the smallest counts ({vram_mb} MB); declare vram_mb if jobs use another"]
    return []


def _shared_name(gpus: Sequence[Gpu]) -> str:
    """What the cards are, for people: `2 x NVIDIA L4`."""
    names = list(dict.fromkeys(gpu.name for gpu in gpus if gpu.name))
    counted = ((sum(gpu.name == name for gpu in gpus), name) for name in names)
    return printable(", ".join(name if count == 1 else f"{count} x {name}" for count, name in counted), most=128)


def _is_name(name: str) -> bool:
    try:
        msgspec.convert(name, ModelName)
    except msgspec.ValidationError:
        return False
    return True


def _length(description: MachineDescription) -> int:
    return len(msgspec.json.encode(description))
