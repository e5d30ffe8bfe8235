"""When a machine would have done a job: until a slot is free, what is fetched, what is loaded, and the run itself.

The least sum wins. VRAM, disk and what is on its way are told apart: a model in memory costs nothing, one on disk its bytes at the
rate at which disks feed a GPU, one in flight what is left of its fetch, one that is nowhere its bytes over the machine's link, and
one that the engine of a machine without a models folder must have itself counts as on its disk (`model_supply`). What
is approximated: the next slot is free after a mean run divided by the runs in progress (Whitt, "Predicting Queueing Delays",
Management Science 45, 1999), each as if it had just begun; links count in steps of 1.4, about as finely as they can be measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.policy.routing.gpu_pace import NO_PACES
from northstar.policy.routing.links import link_class, link_rate
from northstar.policy.routing.model_supply import may_have
from northstar.policy.routing.ready_after import LOAD_BYTES_PER_S
from northstar.policy.routing.snapshot import ASSUMED_RUN_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.snapshot import MachineState

#: Models of a job that the choice looks at, the largest: the others are adapters, or come to little beside them.
MAX_MODELS: Final = 8


class JobNeed(msgspec.Struct, frozen=True, kw_only=True):
    """What of a job decides which machine has it done first."""

    wanted: RequirementClass
    #: All its models as (name, bytes), adapters too.
    models: tuple[tuple[str, int], ...] = ()
    #: Seconds that the work takes on a class of GPU (`domain.gpu_classes`), and on every other.
    run_s: Mapping[str, float] = {}
    run_elsewhere_s: float = ASSUMED_RUN_S

    def largest(self) -> tuple[tuple[str, int], ...]:
        """The models that count, the largest first; each once, as large as anybody says."""
        if len(self.models) < 2:
            return self.models
        sizes: dict[str, int] = {}
        for name, size_bytes in self.models:
            sizes[name] = max(size_bytes, sizes.get(name, 0))
        return tuple(sorted(sizes.items(), key=lambda model: (-model[1], model[0])))[:MAX_MODELS]

    def run_on_s(self, gpu_class: str) -> float:
        """Seconds that the work takes on GPUs of this class."""
        return self.run_s.get(gpu_class, self.run_elsewhere_s)

    def pace_on(self, gpu_class: str) -> float:
        """How long it takes there for each second that it takes elsewhere."""
        return self.run_on_s(gpu_class) / self.run_elsewhere_s if self.run_s and self.run_elsewhere_s else 1.0


class Completion(msgspec.Struct, frozen=True):
    """Seconds until a machine has a job done, by what they pass with."""

    wait_s: float
    fetch_s: float
    load_s: float
    run_s: float

    @property
    def total_s(self) -> float:
        """All of them."""
        return self.wait_s + self.fetch_s + self.load_s + self.run_s


def expected_completion(machine: MachineState, job: JobNeed, *, now_ms: int, paces: GpuPaces = NO_PACES) -> Completion:
    """When this machine would have the job done, if it got it next. `now_ms` is the time of the snapshot.

    `paces` are of the work that it does already, of which nothing but the usual time is known.

    Whether it fits is not asked here.
    """
    missing = unloaded = 0
    left_s = 0.0
    engine_may_have = may_have(machine, job.wanted.service)
    for name, size_bytes in job.largest():
        state = machine.held.get(name)
        if state == "resident":
            continue
        unloaded += size_bytes
        if state is None and name in machine.fetching:
            left_s = max(left_s, (machine.fetching[name] - now_ms) / 1_000)
        elif state is None and not engine_may_have:
            missing += size_bytes
    return completion(
        wait_s=next_slot_s(machine, job.wanted.vram_mb, pace=paces.of(machine.gpu_class)),
        left_s=left_s,
        missing=missing,
        unloaded=unloaded,
        link=link_class(machine.download_bytes_per_s),
        run_s=job.run_on_s(machine.gpu_class),
    )


def completion(*, wait_s: float, left_s: float, missing: int, unloaded: int, link: int, run_s: float) -> Completion:
    """Put together what was found: a fetch in flight goes on while the job waits, the others begin with it.

    >>> from northstar.policy.routing.links import link_class
    >>> completion(wait_s=0.0, left_s=0.0, missing=4_000_000_000, unloaded=4_000_000_000, link=link_class(125e6), run_s=20.0)
    Completion(wait_s=0.0, fetch_s=32.0, load_s=2.5, run_s=20.0)
    """
    return Completion(wait_s, max(0.0, left_s - wait_s) + missing / link_rate(link), unloaded / LOAD_BYTES_PER_S, run_s)


def next_slot_s(machine: MachineState, vram_mb: int = 0, *, pace: float = 1.0) -> float:
    """Seconds until a slot of the machine is free that leaves a job so much memory; its GPU has this pace.

    >>> from northstar.policy.routing.snapshot import MachineState
    >>> next_slot_s(MachineState(id="m", profile="p", slots=2, used=2, active=True, parked=False, work_ahead_s=40.0))
    10.0
    """
    if not machine.used or (machine.used < machine.slots and vram_mb <= machine.vram_free_mb):
        return 0.0
    return pace * machine.work_ahead_s / machine.used**2
