"""Fleets that do not look ahead: one of a fixed size, and one that follows its queue."""

from __future__ import annotations

import math
from typing import Annotated, Final

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
_Ms = Annotated[int, msgspec.Meta(ge=0)]
#: KEDA's cool-down and the HPA's stabilisation window, unless said otherwise.
_FIVE_MINUTES_MS: Final = 300_000


class QueueRule(msgspec.Struct, frozen=True, kw_only=True):
    """How a fleet follows its queue; the defaults are KEDA's and those of Kubernetes' autoscaler."""

    #: Jobs that one machine shall stand for.
    jobs_per_machine: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    least: _Count = 0
    most: _Count = 100
    #: How far the queue may be from what the fleet stands for before anything changes.
    tolerance: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.1
    #: A fleet without jobs is kept for so long before its last machine goes.
    cool_down_ms: _Ms = _FIVE_MINUTES_MS
    #: A fleet shrinks to the largest size that was wanted within this time.
    settles_ms: _Ms = _FIVE_MINUTES_MS
    #: It grows at once by so many machines, or by as many as there are, whichever is more …
    burst: _Count = 4
    #: … and no more within this time.
    burst_ms: _Ms = 15_000


class FleetMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What a fleet that follows its queue must remember from one look to the next; bounded by the rule's windows."""

    #: (when, machines wanted): only those that some later one does not exceed.
    wanted: tuple[tuple[int, int], ...] = ()
    #: (when, machines added).
    added: tuple[tuple[int, int], ...] = ()
    #: When there were jobs last; None: never.
    active_ms: int | None = None


class FleetSize(msgspec.Struct, frozen=True, kw_only=True):
    """Machines that there shall be, and why."""

    machines: int
    because: str
    memory: FleetMemory = FleetMemory()


def fixed_fleet(machines: int) -> FleetSize:
    """As many as were ordered, whatever waits: what most fleets are."""
    return FleetSize(machines=machines, because=f"{machines} machines were ordered")


def queue_fleet(jobs: int, machines: int, memory: FleetMemory, *, now_ms: int, rule: QueueRule) -> FleetSize:
    """As many as the queue asks for: ceil(jobs / jobs_per_machine), within bounds, quickly up and slowly down.

    KEDA's ScaledObject (kedacore/keda, `pkg/scaling/executor/scale_scaledobjects.go`: from nothing to the least or one machine as soon as
    there is a job; back to nothing when none has been there for `cooldownPeriod`, 300 s) over Kubernetes' HorizontalPodAutoscaler for
    everything above (`pkg/controller/podautoscaler/replica_calculator.go`, GetExternalPerPodMetricReplicas: ceil(metric / target), and
    nothing within a tolerance of 0.1; `horizontal.go`: the largest recommendation of 300 s before it shrinks; up by the larger of 4 and
    100 % in 15 s). KEDA polls every 30 s; whoever calls this does.

    `jobs` are those waiting and those running, as KEDA's RabbitMQ scaler counts them, since a machine at work is not to be taken away.
    """
    memory = _seen(jobs, memory, now_ms)
    if machines == 0:
        if not jobs and not rule.least:
            return FleetSize(machines=0, because="no job waits", memory=memory)
        first = min(max(1, rule.least), rule.most)
        return FleetSize(
            machines=first, because="there is work, and nobody to do it", memory=_grown(memory, first, now_ms, rule)
        )
    if not jobs and not rule.least and now_ms - (memory.active_ms or 0) > rule.cool_down_ms:
        return FleetSize(machines=0, because=f"no job for {rule.cool_down_ms // 1_000} s", memory=memory)
    asked = machines
    if abs(1 - jobs / (rule.jobs_per_machine * machines)) > rule.tolerance:
        asked = math.ceil(jobs / rule.jobs_per_machine)
    memory = _remembered(asked, machines, memory, now_ms, rule)
    wanted = max(asked, *(size for _, size in memory.wanted)) if asked < machines else asked
    bounded = min(max(1, rule.least, wanted), rule.most)
    if bounded > machines:
        added = sum(count for at_ms, count in memory.added if now_ms - at_ms < rule.burst_ms)
        before = machines - added
        limit = max(machines, before + rule.burst, 2 * before)
        grown = min(bounded, limit)
        because = f"{jobs} jobs ask for {asked}" + (f", at most {limit} for now" if grown < bounded else "")
        return FleetSize(machines=grown, because=because, memory=_grown(memory, grown - machines, now_ms, rule))
    if bounded == machines:
        return FleetSize(
            machines=machines, because=f"{jobs} jobs ask for {asked}, and as many were wanted lately", memory=memory
        )
    return FleetSize(
        machines=bounded, because=f"no more than {bounded} were wanted for {rule.settles_ms // 1_000} s", memory=memory
    )


def _seen(jobs: int, memory: FleetMemory, now_ms: int) -> FleetMemory:
    # A fleet that was never active cools down from the first look.
    if jobs or memory.active_ms is None:
        return msgspec.structs.replace(memory, active_ms=now_ms)
    return memory


def _remembered(asked: int, machines: int, memory: FleetMemory, now_ms: int, rule: QueueRule) -> FleetMemory:
    # At its first look the autoscaler takes the size that it finds for one that was wanted just now.
    before = memory.wanted or ((now_ms, machines),)
    recent = ((at_ms, size) for at_ms, size in before if now_ms - at_ms <= rule.settles_ms and size > asked)
    return msgspec.structs.replace(memory, wanted=(*recent, (now_ms, asked)))


def _grown(memory: FleetMemory, count: int, now_ms: int, rule: QueueRule) -> FleetMemory:
    recent = ((at_ms, added) for at_ms, added in memory.added if now_ms - at_ms < rule.burst_ms)
    return msgspec.structs.replace(memory, added=(*recent, (now_ms, count)))
