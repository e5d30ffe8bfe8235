"""What policy sees of a cell: frozen, and replaced rather than changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from northstar.domain.gpu_classes import gpu_class_of
from northstar.domain.machines import MachineDescription

if TYPE_CHECKING:
    from northstar.domain.machines import MachineProfile
    from northstar.domain.requirements import RequirementClass


#: How a machine stands: it takes work, it gets none because somebody drains it, or it takes none, most often because its engines are out.
MachineStatus = Literal["active", "draining", "out_of_work"]

#: Of what a machine says of its trouble a sentence quotes so much.
_TROUBLE_CHARS = 300
#: What a run takes where nobody has said it, seconds: the median of image jobs.
ASSUMED_RUN_S = 20.0


def status_of(*, is_active: bool, takes_work: bool) -> MachineStatus:
    """Draining is somebody's will, and said first: it lasts when the engines are back."""
    if not is_active:
        return "draining"
    return "active" if takes_work else "out_of_work"


class MachineState(msgspec.Struct, frozen=True, kw_only=True):
    """A machine. `held` is what it has: model -> 'resident' | 'disk'; what it is still fetching is in `fetching`, and not there yet."""

    id: str
    profile: str
    slots: int
    used: int
    active: bool
    parked: bool
    #: Of its link as measured, or where it was not, what is usual in the fleet (`links.usual_rate`); 0 where none was.
    download_bytes_per_s: float = 0.0
    held: dict[str, str] = {}
    #: Model -> when its fetch is expected to end, ms since epoch by the cell's clock.
    fetching: dict[str, int] = {}
    #: Of the disk on which it keeps models, bytes that are left beside those that it holds; 0 where it does not say how large that is.
    free_disk_bytes: int = 0
    #: Memory that jobs may still take, MB.
    vram_free_mb: int = 0
    #: Seconds that the jobs under a lease here are expected to take, offered ones included, each as if it had just begun.
    work_ahead_s: float = 0.0
    #: What it says of itself; for people. Nothing in it is checked when it is said.
    description: MachineDescription = MachineDescription()

    @property
    def gpu_class(self) -> str:
        """The class of its GPU."""
        return gpu_class_of(self.description.gpu)

    @property
    def takes_work(self) -> bool:
        """Whether it may get a job at all: it is not draining, has slots, and some engine of it takes work."""
        return self.active and self.slots > 0 and self.description.takes_work

    @property
    def status(self) -> MachineStatus:
        """How it stands."""
        return status_of(is_active=self.active, takes_work=self.takes_work)

    @property
    def out_because(self) -> str:
        """Why it takes no work though nobody drains it, as part of a sentence; empty where it takes work, or drains."""
        if self.takes_work or not self.active:
            return ""
        if self.description.takes_work:
            return "it has no slots"
        trouble = self.description.trouble[:_TROUBLE_CHARS]
        return f"its engine is out: {trouble}" if trouble else "its engine is out"


class LaneState(msgspec.Struct, frozen=True, kw_only=True):
    """A lane with its class, anchor models (name, bytes), how many of its jobs are unfinished, and whether any waits.

    `head` is the order of its first waiting job, as text: the smaller goes first (priority, then the tenant's fair share).
    """

    id: str
    key: str
    requirement_class: str
    anchors: tuple[tuple[str, int], ...]
    unfinished: int
    #: How many of its jobs are under a lease somewhere.
    running: int = 0
    waits: bool = False
    head: str = ""
    #: When the oldest of its waiting jobs was submitted, ms since epoch; 0 where none waits.
    oldest_ms: int = 0
    #: Seconds that one of its jobs is expected to take.
    run_s: float = ASSUMED_RUN_S

    @property
    def waiting(self) -> int:
        """How many of its jobs wait, those whose retry is not due yet included."""
        return max(0, self.unfinished - self.running)


class CellSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A cell at one moment. `fits` holds decided (profile, class) pairs."""

    machines: dict[str, MachineState] = {}
    lanes: dict[str, LaneState] = {}
    profiles: dict[str, MachineProfile] = {}
    classes: dict[str, RequirementClass] = {}
    fits: dict[tuple[str, str], bool] = {}
    #: Node classes by the digest that profiles name.
    node_sets: dict[str, frozenset[str]] = {}
    #: What is paused: `cell`, or `pool:NAME`.
    paused: frozenset[str] = frozenset()
    #: When the cell was last called, ms since epoch by its own clock.
    now_ms: int = 0
