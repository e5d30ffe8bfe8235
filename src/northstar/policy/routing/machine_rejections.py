"""Why the other machines did not get a job: every one of them is counted in a group of those that lose for the same reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.decisions import Rejection
from northstar.policy.routing.fit import decide_fit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.policy.routing.fleet_index import FleetIndex, Ranked
    from northstar.policy.routing.machine_choice import Completion, JobNeed

#: Groups of machines that do not fit which are told one by one, the largest first; the others are one group.
MAX_UNFIT: Final = 8
_SENTENCE_CHARS: Final = 400

_LATER: Final = {
    "fetching": "{are} still fetching a model that it needs",
    "fetch": "would have to fetch {gb:.1f} GB first",
    "load": "would have to load {gb:.1f} GB from disk first",
    "slower-gpu": "{run} the work on a slower GPU",
    "busy": "{have} no free slot, or too little free memory, until others are done",
    "as-good": "would be as soon; of equals the first by name is taken",
}


class _Group(msgspec.Struct):
    """Machines that would be later for one reason; the soonest of them stands for all."""

    code: str
    count: int
    soonest: Ranked
    gb: float


def rejections(index: FleetIndex, job: JobNeed, chosen: Ranked | None) -> tuple[Rejection, ...]:
    """Every machine of the snapshot but the chosen one, in groups: those that would be later first, then those that cannot take it."""
    later = _later(index, job, chosen)
    groups = sorted(later.values(), key=lambda group: (group.soonest.total_s, group.code))
    return (*(_told(group, chosen) for group in groups), *_unfit(index, job))


def _later(index: FleetIndex, job: JobNeed, chosen: Ranked | None) -> dict[str, _Group]:
    if chosen is None:
        return {}
    found: dict[str, _Group] = {}
    for part, soonest in index.alike(job, but=chosen.machine):
        code = _cause(soonest.completion, chosen.completion, fetching=part.fetching)
        lacking = part.missing if code in ("fetch", "fetching") else part.unloaded
        group = found.setdefault(code, _Group(code, 0, soonest, lacking / 1e9))
        group.count += part.bits.bit_count()
        if soonest < group.soonest:
            group.soonest, group.gb = soonest, lacking / 1e9
    return found


def _cause(one: Completion, best: Completion, *, fetching: bool) -> str:
    """What one loses most by."""
    lost_s = {
        "fetching" if fetching else "fetch": one.fetch_s - best.fetch_s,
        "load": one.load_s - best.load_s,
        "slower-gpu": one.run_s - best.run_s,
        "busy": one.wait_s - best.wait_s,
    }
    code = max(lost_s, key=lambda name: lost_s[name])
    return code if lost_s[code] > 0 else "as-good"


def _told(group: _Group, chosen: Ranked | None) -> Rejection:
    many = group.count > 1
    words = {"are": "are" if many else "is", "have": "have" if many else "has", "run": "run" if many else "runs"}
    at_soonest = f"{group.soonest.machine}, the soonest, has" if many else "has"
    instead = "" if chosen is None else f", {chosen.machine} in {chosen.total_s:.1f} s"
    sentence = f"{_LATER[group.code].format(gb=group.gb, **words)}: {at_soonest} it done in {group.soonest.total_s:.1f} s{instead}"
    return _rejection(group.soonest.machine, group.count, group.code, sentence)


def _unfit(index: FleetIndex, job: JobNeed) -> Iterator[Rejection]:
    snapshot, counts, idle = index.snapshot, dict[tuple[str, ...], list[str]](), list[str]()
    reasons = {
        name: decide_fit(profile, job.wanted, snapshot.node_sets).reasons for name, profile in snapshot.profiles.items()
    }
    for machine in snapshot.machines.values():
        against = reasons.get(machine.profile, ("has a profile that cannot be read",))
        if against:
            counts.setdefault(against, []).append(machine.id)
        elif not machine.takes_work:
            idle.append(machine.id)
    if idle:
        yield _rejection(min(idle), len(idle), "takes-no-work", "fits, but takes no new work now")
    in_order = sorted(counts.items(), key=lambda group: (-len(group[1]), group[0]))
    for against, names in in_order[:MAX_UNFIT]:
        yield _rejection(min(names), len(names), "does-not-fit", "; ".join(against))
    if others := in_order[MAX_UNFIT:]:
        names = [name for _, group in others for name in group]
        yield _rejection(min(names), len(names), "does-not-fit", "do not fit for other reasons")


def _rejection(name: str, count: int, code: str, sentence: str) -> Rejection:
    subject = name if count == 1 else f"{count} machines"
    return Rejection(subject=subject, code=code, reason=sentence[:_SENTENCE_CHARS], count=count)
