"""What is remembered of the runs of one key: a mean of logarithms that forgets, one for each GPU class, and how times grow with work."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from northstar.domain.estimates import EstimateSource
from northstar.policy.routing.duration_summary import Said
from northstar.policy.routing.duration_voices import (
    MAX_VOICES,
    MOST_GROWTH,
    VOICE_LASTS_MS,
    Voice,
    absorb,
    agree_across_tenants,
    beside,
    limited,
    middle,
    within_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

LevelName = Literal["service", "service-work", "model", "model-work", "shape", "user-model", "user-shape"]
#: A level and what the run or job is called there.
LevelKey: TypeAlias = tuple[str, ...]

#: Jobs whose keys are remembered: one is asked about once for each class of GPU that counts, and then another comes.
_KEYS_KEPT: Final = 64
#: Classes remembered for one key; the one with the fewest runs goes first.
MAX_CLASSES: Final = 8
#: Pulls the growth with work towards this until runs say otherwise: half of the time is not the work itself.
_GROWTH: Final = 0.5
_GROWTH_WEIGHT: Final = 5.0
#: How far a machine's word may lie from the middle of all, in natural logarithms: machines of one class run the same shape within a factor
#: of two of each other (power limits, other processors, a busy host); what they run of one model or service differs more.
ALIKE: Final = math.log(2)
MIXED: Final = math.log(4)


class LevelRule(msgspec.Struct, frozen=True, kw_only=True):
    """How a level learns: `forgets` is the share of weight lost with each run; `prior` is how many runs its parent counts for."""

    name: LevelName
    source: EstimateSource
    forgets: float
    prior: float
    #: Whether its mean is moved to the job's amount of work.
    grows: bool = False
    #: How far from the middle of all a machine's word counts (`duration_voices`).
    within: float = MIXED


#: The coarsest first. Each is drawn towards the one before.
LEVELS: Final = (
    LevelRule(name="service", source="features", forgets=0.01, prior=1, grows=True),
    LevelRule(name="service-work", source="features", forgets=0.02, prior=3),
    LevelRule(name="model", source="model", forgets=0.03, prior=3, grows=True),
    LevelRule(name="model-work", source="model", forgets=0.1, prior=3),
    LevelRule(name="shape", source="shape", forgets=0.15, prior=3, within=ALIKE),
    LevelRule(name="user-model", source="model", forgets=0.35, prior=4),
    LevelRule(name="user-shape", source="user", forgets=0.35, prior=2, within=ALIKE),
)
_SERVICE, _SERVICE_WORK, _MODEL, _MODEL_WORK, _SHAPE, _USER_MODEL, _USER_SHAPE = LEVELS


class Heard(msgspec.Struct, frozen=True):
    """Whose word a run is: the machine that ran it, for which tenant, and when it ended, ms since epoch. Empty and 0 are unknown."""

    machine: str = ""
    tenant: str = ""
    at_ms: int = 0


NOBODY: Final = Heard()


class Seen(Voice, kw_only=True, gc=False):
    """Runs of one key on one GPU class, as their machines together tell of them.

    Most keys are only ever run by one machine, or by nobody whose name is known: such a key is a voice itself and keeps no others.
    Where there are several, its own weight and means are what they agree on as of `agreed`, which whoever reads them calls first: of many
    keys that learn a run nobody reads before the next.
    """

    #: By machine, the one known longest first; None while there has been only one, `only`.
    voices: dict[str, Voice] | None = None
    only: str = ""
    crowd: Voice | None = None

    #: The rule of what was learned since they agreed: `within`, and the most that its weight can be.
    due: tuple[float, float] | None = None

    def learn(
        self, log_s: float, log_work: float, *, forgets: float, within: float = ALIKE, heard: Heard = NOBODY
    ) -> None:
        """Add a run; all others lose `forgets` of their weight, and no machine counts for more than `duration_voices` lets it."""
        voices = self.voices
        if voices is None:
            if not self.runs or heard.machine == self.only:
                self.only = heard.machine
                _hear(self, log_s, log_work, forgets, heard, number=self.runs + 1)
                return
            voices = {self.only: Voice(**{name: getattr(self, name) for name in Voice.__struct_fields__})}
            self.voices = voices
        self.runs += 1
        self._pass_time(voices, heard, forgets)
        own = voices.get(heard.machine)
        if own is None:
            own = voices[heard.machine] = Voice()
        _hear(own, log_s, log_work, forgets, heard, number=self.runs)
        if len(voices) > MAX_VOICES:
            self._make_room(voices, within)
        self.due = (within, 1 / forgets)
        if self.crowd is None and len(voices) == 1:
            self.agreed()
            self.voices, self.only = None, heard.machine
            self.tenant, self.heard, self.heard_ms = own.tenant, own.heard, own.heard_ms

    def agreed(self) -> Seen:
        """Itself, with weight and means as its machines agree on now."""
        due = self.due
        if due is not None:
            within, most = due
            self._take(agree_across_tenants(self._all(self.voices or {}), within=within), most=most)
            self.due = None
        return self

    @classmethod
    def of_crowd(cls, said: Said) -> Seen:
        """As somebody else learned it, who no longer says from whom."""
        crowd = Voice(is_crowd=True, tenant="", weight=said.weight, mean=said.mean, runs=said.runs)
        crowd.work_mean, crowd.work_square, crowd.work_product = said.work_mean, said.work_square, said.work_product
        seen = cls(runs=said.runs, crowd=crowd, voices={})
        seen._take(crowd, most=crowd.weight)
        return seen

    def at(self, log_work: float) -> float:
        """The mean, moved to an amount of work."""
        slope = (self.work_product + _GROWTH * _GROWTH_WEIGHT) / (self.work_square + _GROWTH_WEIGHT)
        return self.mean + min(max(slope, 0.0), MOST_GROWTH) * (log_work - self.work_mean)

    def _all(self, voices: dict[str, Voice]) -> list[Voice]:
        return list(voices.values()) if self.crowd is None else [self.crowd, *voices.values()]

    def _pass_time(self, voices: dict[str, Voice], heard: Heard, forgets: float) -> None:
        """What others said fades by this run, and goes when its time is over."""
        own, kept, over_ms = voices.get(heard.machine), 1 - forgets, heard.at_ms - VOICE_LASTS_MS
        over = None
        for name, voice in voices.items():
            if voice is not own:
                voice.fade(kept)
                if 0 < voice.heard_ms < over_ms:
                    over = [name] if over is None else [*over, name]
        for name in over or ():
            del voices[name]
        crowd = self.crowd
        if crowd is not None:
            crowd.fade(kept)
            if 0 < crowd.heard_ms < over_ms:
                self.crowd = None

    def _make_room(self, voices: dict[str, Voice], within: float) -> None:
        """Put a machine that was heard long ago to others: to those of its tenant, where these are several, else to the crowd."""
        tenants = [voice.tenant for voice in voices.values()]
        tenant, many = "", 1
        for one in tenants:
            if one and (count := tenants.count(one)) > many:
                tenant, many = one, count
        crowd = self.crowd
        if tenant and (many < len(tenants) or (crowd is not None and crowd.tenant != tenant)):
            _put_together(voices, tenant, within)
            return
        everybody = self._all(voices)
        self.crowd = crowd = crowd or Voice(is_crowd=True)
        silent = min(voices, key=lambda name: voices[name].heard)
        _put_to(crowd, voices.pop(silent), among=everybody, within=within)

    def _take(self, said: Voice, *, most: float) -> None:
        self.weight, self.mean = min(said.weight, most), said.mean
        self.work_mean, self.work_square, self.work_product = said.work_mean, said.work_square, said.work_product


def _hear(voice: Voice, log_s: float, log_work: float, forgets: float, heard: Heard, *, number: int) -> None:
    voice.take_in(log_s, log_work, forgets=forgets)
    voice.was_for(heard.tenant)
    voice.heard, voice.heard_ms = number, heard.at_ms


def _silent(voices: dict[str, Voice]) -> str:
    """The machine that was heard longest ago; of equal ones the first."""
    return min(voices, key=lambda name: voices[name].heard)


def _put_together(voices: dict[str, Voice], tenant: str, within: float) -> None:
    """Two of a tenant's machines become one voice, which stands where the one known longer stood."""
    together = f"\0{tenant}"  # no machine is called so
    names = [name for name, voice in voices.items() if voice.tenant == tenant]
    if together in voices:
        silent = [name for name in names if name != together]
        first, second = together, silent[0] if len(silent) == 1 else min(silent, key=lambda name: voices[name].heard)
    else:
        first, second, *_ = sorted(names, key=lambda name: voices[name].heard)
    many = voices[first]
    _put_to(many, voices[second], among=[voices[name] for name in names], within=within)
    stands = first if names.index(first) < names.index(second) else second
    if stands == together:
        del voices[second]
        return
    found = list(voices.items())
    voices.clear()
    for name, voice in found:
        if name == stands:
            voices[together] = many
        elif name not in {first, second}:
            voices[name] = voice


def _put_to(many: Voice, one: Voice, *, among: Sequence[Voice], within: float) -> None:
    """As much of what one machine said as is believed of it beside the others."""
    if len(among) == 2:
        first, second = among
        weight, centre = beside(first, second, one)
    else:
        weights = limited(among)
        centre = middle([voice.mean for voice in among], weights)
        weight = next(weight for voice, weight in zip(among, weights, strict=True) if voice is one)
    absorb(many, one, weight=min(weight, one.weight), mean=within_of(one.mean, centre, within))


def level_keys(*, service: str, model: str, shape: str, user: str, work: float) -> Sequence[tuple[LevelRule, LevelKey]]:
    """The levels at which a job is known, the coarsest first; those of a name that is not known are left out.

    >>> [rule.name for rule, _ in level_keys(service="picture", model="sdxl", shape="", user="ada", work=0.0)]
    ['service', 'model', 'user-model']
    """
    return _remembered_keys(service, model, shape, user, work)


@lru_cache(maxsize=_KEYS_KEPT)
def _remembered_keys(
    service: str, model: str, shape: str, user: str, work: float
) -> tuple[tuple[LevelRule, LevelKey], ...]:
    amount = str(round(2 * math.log2(work))) if work > 0 else ""
    found: list[tuple[LevelRule, LevelKey]] = [(_SERVICE, ("service", service))]
    if amount:
        found.append((_SERVICE_WORK, ("service-work", service, amount)))
    if model:
        found.append((_MODEL, ("model", service, model)))
        if amount:
            found.append((_MODEL_WORK, ("model-work", service, model, amount)))
    if shape:
        found.append((_SHAPE, ("shape", service, model, shape)))
    if user and model:
        found.append((_USER_MODEL, ("user-model", service, user, model)))
    if user and shape:
        found.append((_USER_SHAPE, ("user-shape", service, user, model, shape)))
    return tuple(found)
