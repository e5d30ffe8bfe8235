"""What a plan must change in a cell: pairs to decide, and candidates that really differ from those in place.

Pure, and made to run in a thread: a large cell takes a while, and bells, ticks and the history must go on meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from northstar.policy.routing.alike import AlikeMachines
from northstar.policy.routing.candidates import undecided_fits
from northstar.policy.routing.own_choices import OwnChoices
from northstar.policy.routing.plan import plan_rankings
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.store.messages import Candidate, Fit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot

#: A wait that moves by less than either is the same wait: it follows from queues and links that move all the time.
SAME_WITHIN_MS = 250
SAME_WITHIN = 0.1


def open_fits(snapshot: CellSnapshot) -> list[Fit]:
    """Pairs of profile and class that nobody has decided yet, with policy's answer."""
    return [Fit(*fit) for fit in undecided_fits(snapshot)]


class ChoosesCandidates(Protocol):
    """Says what machines may take, as `changed_candidates` does. Another one is another policy."""

    def __call__(
        self,
        snapshot: CellSnapshot,
        known: Mapping[str, Collection[Candidate]],
        rule: PatienceRule,
        machines: AlikeMachines | None = None,
        terms: RankingTerms = NO_TERMS,
    ) -> list[tuple[str, list[Candidate]]]:
        """Machines whose candidates shall be others than those in the cell, with these."""
        ...


def changed_candidates(
    snapshot: CellSnapshot,
    known: Mapping[str, Collection[Candidate]],
    rule: PatienceRule,
    machines: AlikeMachines | None = None,
    terms: RankingTerms = NO_TERMS,
) -> list[tuple[str, list[Candidate]]]:
    """Machines whose candidates in the cell (`known`) are not what policy wants, with what it wants, best first.

    The machines too: those come first that have something done soonest.

    `machines` is for callers that ask again and again: it knows the machines of earlier snapshots, and spares looking into those
    that are the same.
    """
    changed = []
    own = OwnChoices(snapshot, terms)
    for group, ranking in plan_rankings(snapshot, rule, machines or AlikeMachines(), terms):
        # Of a thousand machines most are alike, in what they may take and in what they should: each such pair is compared once, and written
        # down once for those that are as busy. Idle ones have turns of their own (`fetch_turn`).
        same: dict[int, bool] = {}
        written: dict[tuple[int, int, float, str], list[Candidate]] = {}
        for machine_id in group.ids:
            taken = known.get(machine_id, ())
            compared = group.compared.get(machine_id)
            if compared is None or compared[0] is not taken or compared[1] is not ranking:
                if id(taken) not in same:
                    same[id(taken)] = says_the_same(taken, ranking)
                compared = group.compared[machine_id] = (taken, ranking, same[id(taken)])
            if not compared[2]:
                machine = snapshot.machines[machine_id]
                busy = (machine.slots, machine.used, machine.work_ahead_s, "" if machine.used else machine_id)
                if busy not in written:
                    choices = own.of(machine, ranking)
                    written[busy] = [Candidate(one.subject, one.ready_after_ms, one.preference) for one in choices]
                changed.append((machine_id, written[busy]))
    # Whoever is written first looks first for what waits already.
    return sorted(changed, key=_soonest)


def _soonest(entry: tuple[str, list[Candidate]]) -> tuple[int, int, str]:
    machine, choices = entry
    if not choices:
        return 0, 0, machine  # what it may take no more it should not take
    first = min((one.ready_after_ms, one.preference) for one in choices)
    return *first, machine


def says_the_same(known: Collection[Candidate], wanted: Sequence[tuple[int, float, str]]) -> bool:
    """Whether writing `wanted` (wait in ms, `Start.cost_ms`, lane) would only touch order, preference, or waits that moved a little."""
    waits_ms = {candidate.lane: candidate.ready_after_ms for candidate in known}
    return len(known) == len(wanted) and all(
        lane in waits_ms and is_same_wait(waits_ms[lane], wait_ms) for wait_ms, _, lane in wanted
    )


def is_same_wait(one_ms: int, other_ms: int) -> bool:
    """Whether two waits differ by less than 250 ms, or by less than a tenth of the longer.

    >>> is_same_wait(0, 249), is_same_wait(0, 250), is_same_wait(20_000, 18_001), is_same_wait(20_000, 18_000)
    (True, False, True, False)
    """
    return abs(one_ms - other_ms) < max(SAME_WITHIN_MS, SAME_WITHIN * max(one_ms, other_ms))
