"""What is wrong with a cell, worst first, each with the command that tells more or mends it: for whoever is woken by it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.broker.absent_machines import waiting_line
from northstar.domain.amounts import counted, moment, span
from northstar.domain.budgets import FLEET, NORTH_STAR, raising
from northstar.domain.requirements import RequirementClass
from northstar.domain.troubles import Trouble
from northstar.policy.routing.nobody_works import NobodyWorks, unserved, why_nobody_works

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from northstar.broker.webhooks.failing import FailingWebhook
    from northstar.domain.budgets import BudgetNote
    from northstar.policy.routing.coming import ComingMachine
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.brokers import Broker
    from northstar.store.history.state import HistoryState
    from northstar.store.messages import LaneCount
    from northstar.store.pauses import Pause

#: Of one kind so many are told one by one; of more, how many there are.
_MOST: Final = 3


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
    #: Budgets that are spent, and those that nearly are, by whose they are.
    stops: Mapping[str, BudgetNote] = {}
    warnings: Mapping[str, BudgetNote] = {}
    #: Machines that `northstar up` started on this host and does not start again.
    given_up: Sequence[ComingMachine] = ()
    #: Webhooks whose receivers take nothing.
    webhooks: Sequence[FailingWebhook] = ()


def troubles(seen: Seen) -> list[Trouble]:
    """Everything that somebody should know or mend, the worst first."""
    return [
        *_of_brokers(seen),
        *_of_history(seen),
        *_of_pauses(seen),
        *_of_budgets(seen),
        *_of_waiting_jobs(seen),
        *_of_machines(seen),
        *_of_webhooks(seen),
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
        command = raising(pause.because) if pause.by == NORTH_STAR else f"northstar resume {pause.scope}"
        yield Trouble(f"PAUSED {pause.scope} {since} by {pause.by}: {pause.because}", command)


def _of_budgets(seen: Seen) -> Iterator[Trouble]:
    """That of the fleet is told as the pause that follows from it."""
    paused = {pause.by for pause in seen.pauses if pause.scope == "cell"}
    spent = sorted(seen.stops.items())
    told = [(whose, note) for whose, note in spent if whose != FLEET or NORTH_STAR not in paused]
    nearly = sorted((whose, note) for whose, note in seen.warnings.items() if whose not in seen.stops)
    for some, what in ((told, "are spent"), (nearly, "are nearly spent")):
        for _, note in some[:_MOST]:
            yield Trouble(note.because, "northstar costs")
        if len(some) > _MOST:
            yield Trouble(f"and {counted(len(some) - _MOST, 'budget')} more {what}", "northstar costs")


def _of_waiting_jobs(seen: Seen) -> Iterator[Trouble]:
    """Jobs that wait for what is not here. That all machines are busy is no trouble."""
    nobody = why_nobody_works(seen.view, seen.given_up)
    if seen.waiting and nobody is not None:
        yield _nobody_works(nobody, f"{counted(seen.waiting, 'job')} {'waits' if seen.waiting == 1 else 'wait'}, and")
        return
    waiting = [(lane, _asked(lane)) for lane in seen.lanes if lane.waiting]
    # What waits for money is told as the budget that is spent.
    stuck = unserved([(lane, asked) for lane, asked in waiting if not asked.is_held], seen.view)
    for lane in stuck[:_MOST]:
        waits = "waits" if lane.waiting == 1 else "wait"
        job = seen.first_waiting.get(lane.key)
        yield Trouble(
            f"{counted(lane.waiting, 'job')} {waits} in pool {lane.pool} for what no machine here can do",
            f"northstar explain {job}" if job else "northstar jobs list --in waiting",
        )
    if len(stuck) > _MOST:
        jobs = sum(lane.waiting for lane in stuck[_MOST:])
        yield Trouble(
            f"and {counted(jobs, 'job')} more in {counted(len(stuck) - _MOST, 'lane')} that no machine here serves",
            "northstar jobs list --in waiting",
        )


def _asked(lane: LaneCount) -> RequirementClass:
    return msgspec.json.decode(lane.key, type=tuple[RequirementClass, list[Any]])[0]


def _nobody_works(nobody: NobodyWorks, begin: str) -> Trouble:
    first, more = nobody.machine, f" and {nobody.count - 1} more" if nobody.count > 1 else ""
    match nobody.remedy:
        case "undrain":
            told = f"{begin} no machine takes work: {first}{more} {'drain' if more else 'drains'}"
            return Trouble(told, f"northstar machines drain {first} --undo")
        case "mend":
            others = (
                f"; {counted(nobody.count - 1, 'machine')} more {'takes' if nobody.count == 2 else 'take'} none"
                if more
                else ""
            )
            told = f"{begin} no machine takes work: of {first}, {nobody.because}{others}"
            return Trouble(told, f"northstar machines show {first}")
        case "start_again":
            return Trouble(f"{begin} no machine is here: {first} was given up", f"northstar explain {first}")
        case "invite":
            return Trouble(f"{begin} no machine is here", "northstar machines invite")


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
    ailing = [machine for machine in machines if machine.description.trouble or machine.out_because]
    for machine in ailing[:_MOST]:
        said = machine.description.trouble or machine.out_because
        yield Trouble(f"machine {machine.id}: {said}", f"northstar machines show {machine.id}")
    if len(ailing) > _MOST:
        yield Trouble(f"and {counted(len(ailing) - _MOST, 'machine')} more with a trouble", "northstar machines list")
    if seen.waiting_machines:
        yield Trouble(
            waiting_line(list(seen.waiting_machines)), f"northstar machines approve {seen.waiting_machines[0]}"
        )


def _of_webhooks(seen: Seen) -> Iterator[Trouble]:
    for one in seen.webhooks[:_MOST]:
        if one.off:
            yield Trouble(
                f"webhook {one.id} sends nothing to {one.url}: {one.off}", f"northstar webhooks change {one.id} --on"
            )
        else:
            since = f"since {moment(one.since_ms)}"
            yield Trouble(
                f"webhook {one.id} fails: {one.url} takes nothing {since}", f"northstar webhooks deliveries {one.id}"
            )
    if len(seen.webhooks) > _MOST:
        yield Trouble(f"and {counted(len(seen.webhooks) - _MOST, 'webhook')} more that fail", "northstar webhooks list")


def _of_failed_jobs(seen: Seen) -> Iterator[Trouble]:
    if seen.failed:
        yield Trouble(
            f"{counted(seen.failed, 'job')} failed for good, and {'is' if seen.failed == 1 else 'are'} kept to be looked at",
            "northstar dead list",
        )
