"""Whose word counts for how much: runs of one key are kept apart by the machine that ran them, since a machine may be a stranger's and lie.

The times of runs are the word of the machines. So that no single one of them, nor one tenant's work on machines that run nothing else,
moves what everybody is told:

1. a machine counts for no more than the next of them does, or for one run (`limited`): among two it is half, never more;
2. one that has run a thing three times within a day counts for at least one run, however much others have run since (`Voice.counts`);
3. what a machine says counts as no further from the middle of all than the level allows (`agree`, `within`). Between two that are apart, the
   one that was known first is the middle: a newcomer moves nobody far.

So the mean of a key stays within half of `within` of what the other machines' own means span, however often a machine reports and whatever:
a factor of 1.41 where jobs are alike, of 2 where they are not. Needed are two other machines, or one that was known first, with three runs
within a day. A machine that is alone with a key is all that is known of it. Several machines that lie together are believed as several,
unless they only ever run the work of one tenant: then they are one (`agree_across_tenants`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Machines kept apart at one key; two who lie are outvoted by three. What was said by those heard longest ago lies together.
MAX_VOICES: Final = 4
#: A machine that was not heard for a day may be gone, and its successor must not share its word with it for ever.
VOICE_LASTS_MS: Final = 86_400_000
#: So many runs make a machine's word worth one whatever others have run since: one alone may be an accident, such as a first run.
_STANDING_RUNS: Final = 3
#: What a machine may count for although no other has run so much: one run.
_LEAST: Final = 1.0
#: Growth with work beyond this is not believed of a single machine: nothing grows much faster than its work.
MOST_GROWTH: Final = 1.2
_FAINTEST: Final = 1e-9


class Voice(msgspec.Struct, kw_only=True, gc=False):  # there are many, and they refer to nothing that refers back
    """What one machine, or the crowd of those that are kept together, said of a key. All are of natural logarithms, of seconds and of work."""

    weight: float = 0.0
    mean: float = 0.0
    runs: int = 0
    work_mean: float = 0.0
    work_square: float = 0.0
    work_product: float = 0.0
    #: The number of the key's run in which it was heard last, and when that ended, ms since epoch; 0 is unknown.
    heard: int = 0
    heard_ms: int = 0
    #: For whom all its runs were; empty: for several, or nobody says.
    tenant: str | None = None
    is_crowd: bool = False

    def counts(self) -> float:
        """How many late runs its word is worth."""
        if self.weight >= 1.0 or self.runs == 0:
            return self.weight
        standing = self.runs / _STANDING_RUNS if self.runs < _STANDING_RUNS else 1.0
        return max(self.weight, standing)

    def take_in(self, log_s: float, log_work: float, *, forgets: float) -> None:
        """Add a run; the others lose `forgets` of their weight (West, "Updating Mean and Variance Estimates", CACM 22, 1979)."""
        kept = self.weight * (1 - forgets)
        self.weight = kept + 1
        self.runs += 1
        off, off_work = log_s - self.mean, log_work - self.work_mean
        self.mean += off / self.weight
        self.work_mean += off_work / self.weight
        share = kept / self.weight
        self.work_square = (1 - forgets) * self.work_square + share * off_work * off_work
        self.work_product = (1 - forgets) * self.work_product + share * off_work * off

    def fade(self, kept: float) -> None:
        """Somebody else has run it: this share of what was said before counts on."""
        weight = self.weight * kept
        self.weight = max(_FAINTEST, weight)
        if self.work_square:  # else there is no product either
            self.work_square *= kept
            self.work_product *= kept

    def was_for(self, tenant: str) -> None:
        """A run for this tenant."""
        self.tenant = tenant if self.tenant is None or self.tenant == tenant else ""


def limited(voices: Sequence[Voice]) -> list[float]:
    """What each may count for: no machine for more than the one that counts next to it. A crowd counts in full.

    >>> limited([Voice(weight=6.0), Voice(weight=2.0), Voice(weight=0.5)])
    [2.0, 2.0, 0.5]
    """
    # Asked with each run and each voice, so a voice that is not faint is not asked.
    counted = [voice.weight if voice.weight >= 1.0 else voice.counts() for voice in voices]
    if len(counted) > 1:
        most = sorted(counted)[-2]
        most = max(most, _LEAST)
    else:
        most = _LEAST
    if max(counted) <= most:
        return counted
    return [count if count <= most or voice.is_crowd else most for voice, count in zip(voices, counted, strict=True)]


def middle(values: Sequence[float], weights: Sequence[float]) -> float:
    """The value with half of the weight on either side; where that lies between two, the one that stands first in the list.

    >>> middle([3.0, 1.0, 90.0], [1.0, 1.0, 1.0]), middle([90.0, 1.0], [1.0, 1.0])
    (3.0, 90.0)
    """
    half, so_far, heaviest = sum(weights) / 2, 0.0, max(weights)
    above, below = half * (1 + 1e-9), half * (1 - 1e-9)
    if heaviest > above:  # most often the crowd, and of two the one that was heard more
        return values[weights.index(heaviest)]
    ranked = sorted(range(len(values)), key=values.__getitem__)  # of equal ones the first stays first
    last = ranked.pop()
    for number, place in enumerate(ranked, 1):
        so_far += weights[place]
        if so_far >= below:
            if so_far > above:
                return values[place]
            return values[min(place, ranked[number] if number < len(ranked) else last)]
    return values[last]


def beside(first: Voice, second: Voice, one: Voice) -> tuple[float, float]:
    """What `limited` and `middle` say of two machines: what one of them may count for, and the middle. None of them is a crowd."""
    counts = first.weight if first.weight >= 1.0 else first.counts()
    others = second.weight if second.weight >= 1.0 else second.counts()
    most = min(others, counts)
    most = max(most, _LEAST)
    counts = min(counts, most)
    others = min(others, most)
    centre = second.mean if others > (counts + others) / 2 * (1 + 1e-9) else first.mean
    return (counts if one is first else others), centre


def within_of(value: float, centre: float, within: float) -> float:
    """The value, or the nearest that is no further than `within` from the centre."""
    return min(max(value, centre - within), centre + within)


def agree(voices: Sequence[Voice], *, within: float) -> Voice:
    """What all of them say together, the one known longest first. Its weight is all that was said, whoever said it."""
    if len(voices) == 1:
        return voices[0]
    weights = limited(voices)
    means = [voice.mean for voice in voices]
    centre, total = middle(means, weights), sum(weights)
    low, high = centre - within, centre + within
    mean = work_mean = work_square = work_product = said_weight = 0.0
    runs = 0
    for voice, weight, own in zip(voices, weights, means, strict=True):
        share, said = weight / total, voice.weight
        said_weight += said
        runs += voice.runs
        mean += share * (low if own < low else min(own, high))
        work_mean += share * voice.work_mean
        square = voice.work_square
        if square:  # a single run, and runs of one amount of work, show no growth
            cut = weight / said
            work_square += cut * square
            work_product += cut * within_of(voice.work_product, 0.0, MOST_GROWTH * square)
    return Voice(
        weight=said_weight,
        mean=mean,
        runs=runs,
        work_mean=work_mean,
        work_square=work_square,
        work_product=work_product,
        tenant="",
    )


def agree_across_tenants(voices: Sequence[Voice], *, within: float) -> Voice:
    """The same, where machines that were heard with one tenant's work alone count as one machine beside others.

    A tenant that brings ten machines for its own work has one voice in what all are told; where there is only one tenant, each machine has one.
    """
    named = [voice.tenant for voice in voices if voice.tenant]
    # Most often no two are one tenant's alone, or all are: then nobody is put together first.
    if len(named) < 2 or len(tenants := set(named)) == len(named) or (len(named) == len(voices) and len(tenants) == 1):
        return agree(voices, within=within)
    groups: dict[str | int, list[Voice]] = {}
    for number, voice in enumerate(voices):
        groups.setdefault(number if voice.is_crowd else voice.tenant or number, []).append(voice)
    return agree(
        [group[0] if len(group) == 1 else agree(group, within=within) for group in groups.values()], within=within
    )


def absorb(many: Voice, one: Voice, *, weight: float, mean: float) -> None:
    """Put what one machine said to what others said, with the weight and the mean that were believed of it."""
    total = many.weight + weight
    share, square = weight / total, one.work_square
    off, off_work = mean - many.mean, one.work_mean - many.work_mean
    between = many.weight * share
    if square:
        cut = weight / one.weight
        many.work_square += cut * square
        many.work_product += cut * within_of(one.work_product, 0.0, MOST_GROWTH * square)
    many.work_square += between * off_work * off_work
    many.work_product += between * off_work * off
    many.mean += share * off
    many.work_mean += share * off_work
    many.weight = total
    many.runs += one.runs
    many.heard, many.heard_ms = max(many.heard, one.heard), max(many.heard_ms, one.heard_ms)
    many.was_for(one.tenant or "")
