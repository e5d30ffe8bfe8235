"""What policy sees of a cell: frozen, and replaced rather than changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.machines import MachineDescription

if TYPE_CHECKING:
    from northstar.domain.machines import MachineProfile
    from northstar.domain.requirements import RequirementClass


class MachineState(msgspec.Struct, frozen=True, kw_only=True):
    """A machine. `held` is what it has: model -> 'resident' | 'disk'."""

    id: str
    profile: str
    slots: int
    used: int
    active: bool
    parked: bool
    download_bytes_per_s: float = 0.0
    held: dict[str, str] = {}
    #: Memory that jobs may still take, MB.
    vram_free_mb: int = 0
    #: What it says of itself; for people. Nothing in it is checked when it is said.
    description: MachineDescription = MachineDescription()


class LaneState(msgspec.Struct, frozen=True, kw_only=True):
    """A lane with its class, anchor models (name, bytes), how many of its jobs are unfinished, and whether any waits.

    `head` is the order of its first waiting job, as text: the smaller goes first (priority, then the tenant's fair share).
    """

    id: str
    key: str
    requirement_class: str
    anchors: tuple[tuple[str, int], ...]
    unfinished: int
    waits: bool = False
    head: str = ""


class CellSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A cell at one moment. `fits` holds decided (profile, class) pairs."""

    machines: dict[str, MachineState] = {}
    lanes: dict[str, LaneState] = {}
    profiles: dict[str, MachineProfile] = {}
    classes: dict[str, RequirementClass] = {}
    fits: dict[tuple[str, str], bool] = {}
    #: Node classes by the digest that profiles name.
    node_sets: dict[str, frozenset[str]] = {}
