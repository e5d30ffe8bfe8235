"""What is wrong with a cell, worst first, each with the command that tells more or mends it: for whoever is woken by it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.surfaces.cli.absent_machines import waiting_line
from northstar.surfaces.cli.printing import counted, moment, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from northstar.policy.routing.coming import ComingMachine
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.brokers import Broker
    from northstar.store.history.state import HistoryState
    from northstar.store.messages import LaneCount
    from northstar.store.pauses import Pause

#: Of one kind so many are told one by one; of more, how many there are.
_MOST: Final = 3


class Trouble(msgspec.Struct, frozen=True):
    """A sentence, and a command that can be typed; empty where there is none."""

    what: str
    command: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, all of one moment. `first_waiting` is the first job that waits in a lane, by the lane's text."""

    now_ms: int
    waiting: int
    failed: int
    view: CellSnapshot
    lanes: Sequence[LaneCount]
    brokers: Sequence[Broker]
    history: HistoryState
    pauses: Sequence[Pause]
    waiting_machines: Sequence[str]
    first_waiting: Mapping[str, str]
    #: Machines that `northstar up` started on this host and does not start again.
    given_up: Sequence[ComingMachine] = ()


def troubles(seen: Seen) -> list[Trouble]:
    """Everything that somebody should know or mend, the worst first."""
    return [
        *_of_brokers(seen),
        *_of_history(seen),
        *_of_pauses(seen),
        *_of_waiting_jobs(seen),
        *_of_machines(seen),
        *_of_failed_jobs(seen),
    ]


def _of_brokers(seen: Seen) -> Iterator[Trouble]:
    if not seen.brokers:
        yield Trouble(
            "no broker of this cell has said in the last 3 minutes that it runs, so nothing is given out; an older version does not say so",
            "northstar serve",
        )
    places = Counter(broker.outputs for broker in seen.brokers)
    if len(places) > 1:
        named = "; ".join(f"{broker.kind} on {broker.host}: {broker.outputs}" for broker in seen.brokers)
        yield Trouble(
            f"brokers of this cell keep outputs in different places ({named}): give all of them one assets.url"
        )
    hosts = {broker.host for broker in seen.brokers}
    if len(places) == 1 and len(hosts) > 1 and next(iter(places)).startswith("file://"):
        yield Trouble(
            f"brokers on {', '.join(sorted(hosts))} keep outputs in {next(iter(places))}: a folder, which all of them must share"
        )


def _of_history(seen: Seen) -> Iterator[Trouble]:
    state = seen.history
    if not state.stuck:
        return
    why = f"{state.code}: {state.sentence}" if state.code else "no broker writes it"
    yield Trouble(
        f"the history is STUCK for {span(state.waiting_ms)}: {why}; jobs go on, and what is finished is kept in memory until it has them",
        "" if state.code else "northstar serve",
    )


def _of_pauses(seen: Seen) -> Iterator[Trouble]:
    for pause in seen.pauses:
        since = f"since {moment(pause.since_ms)}"
        yield Trouble(f"PAUSED {pause.scope} {since} by {pause.by}: {pause.because}", f"northstar resume {pause.scope}")


def _of_waiting_jobs(seen: Seen) -> Iterator[Trouble]:
    """Jobs that wait for what is not here. That all machines are busy is no trouble."""
    working = [machine for machine in seen.view.machines.values() if machine.takes_work]
    if seen.waiting and not working:
        wait = "waits" if seen.waiting == 1 else "wait"
        yield _nobody_works(seen, f"{counted(seen.waiting, 'job')} {wait}, and")
        return
    profiles = {machine.profile for machine in working}
    unserved = [lane for lane in seen.lanes if lane.waiting and not _served(lane, profiles, seen.view)]
    for lane in unserved[:_MOST]:
        waits = "waits" if lane.waiting == 1 else "wait"
        job = seen.first_waiting.get(lane.key)
        yield Trouble(
            f"{counted(lane.waiting, 'job')} {waits} in pool {lane.pool} for what no machine here can do",
            f"northstar explain {job}" if job else "northstar jobs list --in waiting",
        )
    if len(unserved) > _MOST:
        jobs = sum(lane.waiting for lane in unserved[_MOST:])
        yield Trouble(
            f"and {counted(jobs, 'job')} more in {counted(len(unserved) - _MOST, 'lane')} that no machine here serves",
            "northstar jobs list --in waiting",
        )


def _nobody_works(seen: Seen, begin: str) -> Trouble:
    """The shortest way to a machine that takes work: one that drains, one of this host that was given up, or another one."""
    draining = sorted(machine.id for machine in seen.view.machines.values() if not machine.active)
    if draining:
        which = draining[0] if len(draining) == 1 else f"{draining[0]} and {len(draining) - 1} more"
        told = f"{begin} no machine takes work: {which} {'drains' if len(draining) == 1 else 'drain'}"
        return Trouble(told, f"northstar machines drain {draining[0]} --undo")
    if seen.given_up:
        gone = seen.given_up[0]
        return Trouble(f"{begin} no machine is here: {gone.name} was given up", f"northstar explain {gone.name}")
    here = "no machine takes work" if seen.view.machines else "no machine is here"
    return Trouble(f"{begin} {here}", "northstar machines invite")


def _served(lane: LaneCount, profiles: set[str], view: CellSnapshot) -> bool:
    """Whether a machine that takes work could run its jobs; one that this version cannot read is given the benefit of the doubt."""
    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.fit import decide_fit

    wanted = msgspec.json.decode(lane.key, type=tuple[RequirementClass, list[Any]])[0]
    return any(
        name not in view.profiles or decide_fit(view.profiles[name], wanted, view.node_sets).fits for name in profiles
    )


def _of_machines(seen: Seen) -> Iterator[Trouble]:
    machines = sorted(seen.view.machines.values(), key=lambda machine: machine.id)
    for one in seen.given_up[:_MOST]:
        yield Trouble(
            f"machine {one.name} was given up: {one.given_up}; mend that, stop North Star and start it again",
            "northstar up",
        )
    if len(seen.given_up) > _MOST:
        yield Trouble(f"and {counted(len(seen.given_up) - _MOST, 'machine')} more that were given up")
    draining = [machine.id for machine in machines if not machine.active]
    for name in draining[:_MOST]:
        yield Trouble(f"machine {name} drains: it takes no new work", f"northstar machines drain {name} --undo")
    if len(draining) > _MOST:
        yield Trouble(f"and {counted(len(draining) - _MOST, 'machine')} more that drain", "northstar machines list")
    ailing = [machine for machine in machines if machine.description.trouble]
    for machine in ailing[:_MOST]:
        yield Trouble(f"machine {machine.id}: {machine.description.trouble}", f"northstar machines show {machine.id}")
    if len(ailing) > _MOST:
        yield Trouble(f"and {counted(len(ailing) - _MOST, 'machine')} more with a trouble", "northstar machines list")
    if seen.waiting_machines:
        yield Trouble(
            waiting_line(list(seen.waiting_machines)), f"northstar machines approve {seen.waiting_machines[0]}"
        )


def _of_failed_jobs(seen: Seen) -> Iterator[Trouble]:
    if seen.failed:
        yield Trouble(
            f"{counted(seen.failed, 'job')} failed for good, and {'is' if seen.failed == 1 else 'are'} kept to be looked at",
            "northstar dead list",
        )
