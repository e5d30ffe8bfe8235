"""Snapshots with everything said, so that a test names only what it is about."""

from __future__ import annotations

from typing import Any

from northstar.domain.machines import EngineDescription, MachineDescription, MachineProfile
from northstar.domain.requirements import RequirementClass
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

GB = 1_000_000_000
SDXL = (("sdxl", 6 * GB),)


def folderless(*names: str, gpu: str = "", takes_work: bool = True) -> MachineDescription:
    """Of a machine without a models folder; an engine for the service `picture` that names so many models, if any."""
    engines = (EngineDescription(service="picture", models=len(names)),)
    return MachineDescription(gpu=gpu, takes_work=takes_work, engines=engines, keeps_models=False)


def profile(**changes: Any) -> MachineProfile:
    fields: dict[str, Any] = {"pools": ("standard",), "services": ("picture",), "vram_mb": 24_000}
    return MachineProfile(**fields | changes)


def wanted(**changes: Any) -> RequirementClass:
    fields: dict[str, Any] = {
        "pool": "standard",
        "service": "picture",
        "vram_mb": 0,
        "node_packs": (),
        "tags": (),
        "isolation": None,
    }
    return RequirementClass(**fields | changes)


def machine(name: str, **changes: Any) -> MachineState:
    fields: dict[str, Any] = {"id": name, "profile": "p", "slots": 1, "used": 0, "active": True, "parked": True}
    return MachineState(**fields | {"download_bytes_per_s": float(GB)} | changes)


def lane(name: str, **changes: Any) -> LaneState:
    fields: dict[str, Any] = {"id": name, "key": name, "requirement_class": "c", "anchors": (), "unfinished": 0}
    return LaneState(**fields | changes)


def cell(*parts: MachineState | LaneState, fits: dict[tuple[str, str], bool] | None = None) -> CellSnapshot:
    """Profiles `p` (serves class `c`) and `other` (serves nothing), unless told otherwise."""
    return CellSnapshot(
        machines={part.id: part for part in parts if isinstance(part, MachineState)},
        lanes={part.id: part for part in parts if isinstance(part, LaneState)},
        profiles={"p": profile(), "other": profile(pools=("fast",))},
        classes={"c": wanted()},
        fits={("p", "c"): True, ("other", "c"): False} if fits is None else fits,
    )
