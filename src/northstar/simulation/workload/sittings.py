"""Who comes when: people sit down, ask several times and go, more in the evening than at night, and some come back every day."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from northstar.simulation.workload.draws import Choice, Draws
from northstar.simulation.workload.service_days import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOUR_MS: Final = 3_600_000
_WEEK: Final = 7
_SATURDAY: Final = 5
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
#: Sittings that people are remembered by; who has not come in so many others is not known any more.
MOST_REMEMBERED: Final = 20_000
_MOST_TRIES: Final = 20


class SittingLaw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How people come. The hours are those of a service day, from 12:00 on; their shares of the day need not add up to 1."""

    #: Requests of a day, on average.
    per_weekday: Annotated[float, msgspec.Meta(gt=0)]
    per_weekend_day: Annotated[float, msgspec.Meta(gt=0)]
    #: How much days differ: deviation of the natural logarithm.
    day_deviation: Annotated[float, msgspec.Meta(ge=0)]
    weekday_hours: Annotated[tuple[float, ...], msgspec.Meta(min_length=24, max_length=24)]
    weekend_hours: Annotated[tuple[float, ...], msgspec.Meta(min_length=24, max_length=24)]
    #: Requests of a sitting are 1 and the whole part of a log-normal number: its median, and two deviations of the natural logarithm, that from
    #: person to person and that from one sitting of a person to the next. Some stay for hours, and those come back to do so.
    more_median: Annotated[float, msgspec.Meta(gt=0)]
    more_of_person: Annotated[float, msgspec.Meta(ge=0)]
    more_of_sitting: Annotated[float, msgspec.Meta(ge=0)]
    most_requests: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 400
    #: Seconds from one request of a sitting to the next: median and deviation of the natural logarithm, and the most.
    gap_median_s: Annotated[float, msgspec.Meta(gt=0)]
    gap_deviation: Annotated[float, msgspec.Meta(ge=0)]
    most_gap_s: Annotated[float, msgspec.Meta(gt=0)] = 1_800.0
    #: Share of the sittings that are somebody's first.
    newcomers: _Share
    #: How many sittings of all lie between two of one person: median and deviation of the natural logarithm. Whoever came often is
    #: found again more often, which makes the heavy tail.
    back_median: Annotated[float, msgspec.Meta(ge=1)]
    back_deviation: Annotated[float, msgspec.Meta(ge=0)]

    @property
    def per_sitting(self) -> float:
        """Requests of a sitting, on average: the sum of the chances that there are more than 0, 1, 2 and so on."""
        deviation = math.hypot(self.more_of_person, self.more_of_sitting)
        if not deviation:
            return min(1.0 + int(self.more_median), self.most_requests)
        above = ((math.log(count / self.more_median)) / deviation for count in range(1, self.most_requests))
        return 1.0 + sum(math.erfc(one / math.sqrt(2)) / 2 for one in above)

    def times(self, factor: float) -> SittingLaw:
        """The same law for `factor` times as many people: so many times as many requests, by others."""
        return msgspec.structs.replace(
            self,
            per_weekday=self.per_weekday * factor,
            per_weekend_day=self.per_weekend_day * factor,
            back_median=max(1.0, self.back_median * factor),
        )


class Sitting(msgspec.Struct, frozen=True):
    """Somebody sits down. `at_ms` are the moments of the requests from the beginning of the simulation, in order."""

    user: int
    at_ms: tuple[int, ...]
    #: How much longer than others the person stays, 1 for the middle of all.
    stays: float = 1.0


def is_weekend(day: int, *, first_weekday: int) -> bool:
    """Whether a service day is a Saturday or Sunday. `first_weekday` is that of day 0: 0 is Monday.

    >>> [is_weekend(day, first_weekday=4) for day in range(4)]
    [False, True, True, False]
    """
    return (day + first_weekday) % _WEEK >= _SATURDAY


def sittings(law: SittingLaw, *, days: int, seed: int, first_weekday: int = 0, stream: str = "") -> Iterator[Sitting]:
    """Sittings in the order of their beginnings. People are numbered as they come; `stream` tells laws of one simulation apart."""
    people = _People(law, Draws(seed, "people", stream))
    hours = {False: _hours(law.weekday_hours), True: _hours(law.weekend_hours)}
    for day in range(days):
        draws = Draws(seed, "day", stream, str(day))
        weekend = is_weekend(day, first_weekday=first_weekday)
        mean = law.per_weekend_day if weekend else law.per_weekday
        # The mean of a log-normal number is so much more than its median.
        median = mean / law.per_sitting / math.exp(law.day_deviation**2 / 2)
        many = draws.log_normal(median, law.day_deviation)
        people.go(day * DAY_MS)
        starts = sorted(
            day * DAY_MS + hours[weekend].at(draws.share()) * _HOUR_MS + draws.below(_HOUR_MS)
            for _ in range(round(many))
        )
        for start_ms in starts:
            user = people.next(start_ms)
            stays = Draws(seed, "stays", stream, str(user)).log_normal(1.0, law.more_of_person)
            moments = _moments(law, draws, start_ms, median=law.more_median * stays)
            people.stays(user, until_ms=moments[-1])
            yield Sitting(user, moments, stays)


def _hours(shares: tuple[float, ...]) -> Choice[int]:
    return Choice(list(enumerate(shares)))


def _moments(law: SittingLaw, draws: Draws, start_ms: int, *, median: float) -> tuple[int, ...]:
    more = int(draws.log_normal(median, law.more_of_sitting))
    moments = [start_ms]
    for _ in range(min(more, law.most_requests - 1)):
        gap_s = min(draws.log_normal(law.gap_median_s, law.gap_deviation), law.most_gap_s)
        moments.append(moments[-1] + round(gap_s * 1_000))
    return tuple(moments)


class _People:
    """Who sits down next: somebody new, or whoever sat some sittings ago and has gone since."""

    def __init__(self, law: SittingLaw, draws: Draws) -> None:
        self._law = law
        self._draws = draws
        self._past: deque[int] = deque(maxlen=MOST_REMEMBERED)
        #: Who is here, and until when.
        self._here: dict[int, int] = {}
        self._count = 0

    def next(self, now_ms: int) -> int:
        """Whoever comes now; nobody sits down twice at once."""
        user = self._newcomer() if self._draws.share() < self._law.newcomers else self._back(now_ms)
        self._past.append(user)
        return user

    def stays(self, user: int, *, until_ms: int) -> None:
        """Somebody has sat down, and asks for the last time then."""
        self._here[user] = until_ms

    def _newcomer(self) -> int:
        self._count += 1
        return self._count - 1

    def _back(self, now_ms: int) -> int:
        for _ in range(_MOST_TRIES if self._past else 0):
            back = int(self._draws.log_normal(self._law.back_median, self._law.back_deviation))
            user = self._past[-1 - min(back, len(self._past) - 1)]
            if self._here.get(user, -1) < now_ms:
                return user
        # Everybody who is known is here.
        return self._newcomer()

    def go(self, now_ms: int) -> None:
        """Forget until when those stayed who have gone."""
        self._here = {user: until_ms for user, until_ms in self._here.items() if until_ms >= now_ms}
