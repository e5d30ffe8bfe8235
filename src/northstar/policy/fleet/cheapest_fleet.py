"""The cheapest fleet that is good enough, found with few trials; whoever asks makes the trials, and tells what came of each.

A fleet has parts, such as one for each pool. Each part consists of machines of one choice, as many as there must be. A trial is expensive (a whole simulation), so
all parts are sized in the same trials, as long as each is judged by jobs of its own. Then the fleet that comes out is put to the proof as a whole, made smaller
where that is possible, and tried with other seeds: what parts do to each other, and chance, show only there.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

import msgspec

from northstar.policy.fleet.machine_bracket import MachineBracket
from northstar.policy.fleet.part_sizing import Part, PartSizing, Seat, Verdict

_Count = Annotated[int, msgspec.Meta(ge=1)]
#: A part that misses its goal by less with one machine fewer is tried with two fewer too: a simulation is not perfectly monotone.
_NARROW: Final = 0.01
#: Rounds in which every part is made smaller; a later round changes something only where parts help each other.
_ROUNDS: Final = 3


Fleet: TypeAlias = tuple[Seat, ...]


#: each: go on until it is known of all that are asked about · all: the first of them that is not good enough settles it · end: to the end.
Until = Literal["each", "all", "end"]


class Trial(NamedTuple):
    """A fleet that is to be tried, with the number of a seed."""

    fleet: Fleet
    seed: int
    #: Parts of which it must be known whether they are good enough.
    asked: tuple[int, ...]
    until: Until


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds a search."""

    #: Machines that a part may have at most.
    most: _Count
    #: Seeds with which the fleet must be good enough in the end; sizes are found with the first.
    seeds: _Count = 1
    #: After so many trials it ends with what it has.
    trials: _Count = 100


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a search."""

    fleet: Fleet
    #: Parts that are not good enough however many machines they have, within the bound.
    unmet: tuple[int, ...]
    #: Whether it came to its end; else the trials were used up before.
    is_whole: bool
    trials: int


#: Trials, in return for the verdicts of all parts, until something is found.
Trials: TypeAlias = Generator[Trial, Sequence[Verdict], Found]
_Steps: TypeAlias = Generator[Trial, Sequence[Verdict], None]


class _NoMoreTrials(Exception):
    """As many were made as may be."""


def cheapest_fleet(parts: Sequence[Part], search: Search) -> Trials:
    """Search: yields trials, is sent verdicts, and returns what it has found. The same verdicts give the same trials.

    The trials of an earlier search can be answered from memory; nothing else is needed to go on with it.
    """
    return _Searcher(parts, search).run()


class _Searcher:
    def __init__(self, parts: Sequence[Part], search: Search) -> None:
        self._search = search
        self._sizings = [PartSizing(part, min(part.most, search.most)) for part in parts]
        self._parts = parts
        self._made = 0
        self._known: dict[tuple[Fleet, int], list[Verdict]] = {}

    def run(self) -> Trials:
        is_whole = True
        try:
            yield from self._size()
            yield from self._prove()
        except _NoMoreTrials:
            is_whole = False
        unmet = tuple(at for at, sizing in enumerate(self._sizings) if not sizing.is_met)
        return Found(fleet=self._fleet(), unmet=unmet, is_whole=is_whole, trials=self._made)

    def _fleet(self) -> Fleet:
        return tuple(sizing.seat for sizing in self._sizings)

    # Each part by itself ----------------------------------------------------------------------------------------------

    def _size(self) -> _Steps:
        """Size all parts side by side."""
        while True:
            wanted = [sizing.next() for sizing in self._sizings]
            asked = tuple(at for at, seat in enumerate(wanted) if seat is not None)
            if not asked:
                return
            fleet = tuple(seat or sizing.seat for seat, sizing in zip(wanted, self._sizings, strict=True))
            verdicts = yield from self._try(fleet, 0, asked, "each")
            for at in asked:
                self._sizings[at].learn(fleet[at], verdicts[at])

    # The fleet as a whole ---------------------------------------------------------------------------------------------

    def _prove(self) -> _Steps:
        yield from self._mend((0,))
        for _ in range(_ROUNDS):
            before = self._fleet()
            for at in self._by_cost():
                yield from self._shrink(at)
            if self._fleet() == before:
                break
        yield from self._mend(tuple(range(self._search.seeds)))

    def _by_cost(self) -> list[int]:
        """Parts that are good enough, the dearest first."""
        costs = [sizing.cost(sizing.seat) for sizing in self._sizings]
        return sorted((at for at, one in enumerate(self._sizings) if one.is_met), key=lambda at: (-costs[at], at))

    def _mend(self, seeds: Sequence[int]) -> _Steps:
        """Give machines to parts that lack them in the company of the others, until the fleet is good enough with each of the seeds."""
        is_proved = False
        while not is_proved:
            is_proved = True
            for seed in seeds:
                asked = tuple(at for at, sizing in enumerate(self._sizings) if sizing.is_met)
                if not asked:
                    return
                verdicts = yield from self._try(self._fleet(), seed, asked, "each")
                lacking = [at for at in asked if verdicts[at].met is False]
                for at in lacking:
                    self._sizings[at].grow()
                if lacking:
                    is_proved = False
                    break

    def _shrink(self, at: int) -> _Steps:
        """Take machines from a part as long as the whole fleet stays good enough: one, then twice as many each time, and then what is between."""
        sizing = self._sizings[at]
        bracket = MachineBracket(
            least=sizing.choice.least, most=sizing.seat.machines, first=sizing.seat.machines - 1, step=1
        )
        bracket.learn(sizing.seat.machines, met=True)
        while (count := bracket.next()) is not None:
            verdict = yield from self._is_enough(at, count)
            bracket.learn(count, met=bool(verdict.met))
        assert bracket.met is not None  # noqa: S101 -- it began with one that was
        sizing.take(bracket.met)
        one_less = self._known.get((self._with(at, bracket.met - 1), 0))
        if (
            one_less
            and one_less[at].met is False
            and -one_less[at].margin < _NARROW
            and bracket.met - 2 >= sizing.choice.least
        ):
            verdict = yield from self._is_enough(at, bracket.met - 2)
            if verdict.met:
                sizing.take(bracket.met - 2)

    def _is_enough(self, at: int, count: int) -> Generator[Trial, Sequence[Verdict], Verdict]:
        """Whether every part that was good enough still is, with so many machines in one of them."""
        asked = tuple(place for place, sizing in enumerate(self._sizings) if sizing.is_met)
        verdicts = yield from self._try(self._with(at, count), 0, asked, "all")
        return Verdict(all(verdicts[place].met for place in asked), verdicts[at].margin)

    def _with(self, at: int, count: int) -> Fleet:
        fleet = list(self._fleet())
        fleet[at] = Seat(fleet[at].choice, count)
        return tuple(fleet)

    # Trials -----------------------------------------------------------------------------------------------------------

    def _try(
        self, fleet: Fleet, seed: int, asked: tuple[int, ...], until: Until
    ) -> Generator[Trial, Sequence[Verdict], Sequence[Verdict]]:
        """Make a trial, unless its answer is known."""
        known = self._known.get((fleet, seed))
        if known is not None and _answers(known, asked, until):
            return known
        if self._made >= self._search.trials:
            raise _NoMoreTrials
        self._made += 1
        verdicts = yield Trial(fleet, seed, asked, until)
        self._known[fleet, seed] = list(verdicts)
        return verdicts


def _answers(known: Sequence[Verdict], asked: tuple[int, ...], until: Until) -> bool:
    met = [known[at].met for at in asked]
    return None not in met or (until == "all" and False in met)
