"""Fleets for the measurement of routing: a mix of GPUs, links, pools, regions and loads; popular models on many machines, most on few."""

from __future__ import annotations

import random
from typing import Final

from benchmarks.routing_jobs import catalogue
from northstar.domain.catalogue import CatalogueModel
from northstar.domain.machines import EngineDescription, MachineDescription, MachineProfile
from northstar.policy.models.core_nodes import CORE_NODE_CLASSES
from northstar.policy.routing.snapshot import CellSnapshot, MachineState

_HELD: Final = 10
_NODES: Final = "0123456789abcdef"
_POOLS: Final = (
    ("lightning",),
    ("fast-lane",),
    ("fast-lane", "standard"),
    ("standard", "standard-multi-modal"),
    ("standard-art", "standard-photography"),
    ("heavy",),
    ("research",),
    ("enterprise",),
)
_GPUS: Final = (
    ("NVIDIA L4", 24_000),
    ("NVIDIA GeForce RTX 4090", 24_000),
    ("NVIDIA A100-SXM4-80GB", 80_000),
    ("NVIDIA H100 PCIe", 80_000),
)
_REGIONS: Final = ("eu-1", "eu-2", "us-1")
_ENGINES: Final = (
    EngineDescription(service="comfy", kind="comfyui"),
    EngineDescription(service="chat", kind="openai"),
)


def a_fleet(size: int) -> CellSnapshot:
    """`size` machines of 96 profiles: two thirds busy, each with ten models."""
    rng = random.Random(size)
    profiles = {
        f"{'+'.join(pools)}-{number}-{region}": MachineProfile(
            pools=pools,
            services=("chat", "comfy"),
            vram_mb=vram_mb,
            region=region,
            node_set=_NODES,
            exclusive=pools == ("enterprise",),
        )
        for pools in _POOLS
        for number, (_, vram_mb) in enumerate(_GPUS)
        for region in _REGIONS
    }
    models = catalogue()
    # Zipf's law: the n-th model is on 1/n as many machines as the first.
    rng.shuffle(models)
    weights = [1 / (number + 1) for number in range(len(models))]
    machines = [
        _a_machine(
            rng, number, rng.choice(list(profiles)), profiles=profiles, held=rng.choices(models, weights, k=_HELD)
        )
        for number in range(size)
    ]
    return CellSnapshot(
        machines={machine.id: machine for machine in machines},
        profiles=profiles,
        node_sets={_NODES: frozenset(CORE_NODE_CLASSES)},
        now_ms=10_000,
    )


def _a_machine(
    rng: random.Random, number: int, profile: str, *, profiles: dict[str, MachineProfile], held: list[CatalogueModel]
) -> MachineState:
    gpu, vram_mb = _GPUS[int(profile.split("-")[-3])]
    slots = rng.choice((1, 1, 2, 4))
    used = min(slots, rng.choice((0, 1, 2, 4)))
    files = [file.name for model in held for file in model.current_version.files]
    return MachineState(
        id=f"m{number}",
        profile=profile,
        slots=slots,
        used=used,
        active=number % 50 != 0,
        parked=used < slots,
        download_bytes_per_s=rng.uniform(1e7, 1.2e9),
        held={name: rng.choice(("disk", "disk", "resident")) for name in files},
        fetching={f"base-{number % 60}.safetensors": 20_000} if number % 20 == 0 else {},
        vram_free_mb=vram_mb - used * vram_mb // (slots + 1),
        work_ahead_s=used * rng.uniform(2.0, 60.0),
        description=MachineDescription(gpu=gpu, engines=_ENGINES),
    )
