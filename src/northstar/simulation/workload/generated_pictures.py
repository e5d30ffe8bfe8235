"""Picture jobs by a law and a seed, with the statistics of a real service; the same seed gives the same jobs, byte for byte."""

from __future__ import annotations

import math
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from northstar.domain.jobs import JobRequest
from northstar.domain.requirements import Requirements
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.workload.draws import Choice, Draws
from northstar.simulation.workload.file_sizes import base_bytes, lora_bytes
from northstar.simulation.workload.in_time import in_time
from northstar.simulation.workload.needed_files import needed_file
from northstar.simulation.workload.payloads import made_payload
from northstar.simulation.workload.picture_jobs import PictureTerms
from northstar.simulation.workload.sittings import MOST_REMEMBERED, sittings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.domain.models import ModelNeed
    from northstar.simulation.workload.picture_law import PictureLaw
    from northstar.simulation.workload.sittings import Sitting

#: Models and adapters that a person is remembered by, the latest ones.
_MOST_KNOWN: Final = 16
#: Choices of adapters that popularity is drawn from: what was chosen often lately is chosen often.
_MOST_CHOICES: Final = 4_000
#: What is worked out again when it is asked for again after so many others.
_CACHED: Final = 16_384


class _Person:
    """What somebody used the last time, and before."""

    __slots__ = ("images", "loras", "model", "models", "own", "steps", "task")

    def __init__(self) -> None:
        self.model = 0
        self.loras: tuple[int, ...] = ()
        self.steps = 0
        self.images = 0
        self.task = ""
        #: Models and adapters, the latest first.
        self.models: list[int] = []
        self.own: list[int] = []


def generated_pictures(
    law: PictureLaw, *, days: int, seed: int, first_weekday: int = 0, terms: PictureTerms | None = None
) -> Iterator[SimulatedJob]:
    """Jobs of so many service days, in their order. Memory is bounded by people lately seen, not by jobs.

    Raises:
        ValueError: the law's popularity is not possible.
    """
    maker = _Maker(law, seed, terms or PictureTerms())
    coming = sittings(law.sittings, days=days, seed=seed, first_weekday=first_weekday, stream="pictures")
    return in_time(coming, maker.jobs)


class _Maker:
    """Makes the jobs of one sitting after the other."""

    def __init__(self, law: PictureLaw, seed: int, terms: PictureTerms) -> None:
        self._law = law
        self._seed = seed
        self._terms = terms
        self._draws = Draws(seed, "pictures")
        self._popular = Choice(popularity_weights(law))
        self._lora_counts = Choice(law.lora_counts)
        self._steps = Choice(law.steps)
        self._images = Choice(law.images)
        self._tasks = Choice(law.tasks)
        self._people: dict[int, _Person] = {}
        self._chosen: deque[int] = deque(maxlen=_MOST_CHOICES)
        self._loras = 0
        self._paces: dict[int, float] = {}

    def jobs(self, sitting: Sitting) -> Iterator[SimulatedJob]:
        """The jobs of a sitting."""
        # Put last, so that whoever was not seen for longest goes first.
        person = self._people.pop(sitting.user, None)
        is_new = person is None
        if person is None:
            person = _Person()
        self._people[sitting.user] = person
        if len(self._people) > MOST_REMEMBERED:
            del self._people[next(iter(self._people))]
        adapts = sitting.stays >= self._law.loras_from_stays
        for place, at_ms in enumerate(sitting.at_ms):
            same = self._law.same_model_after if place == 0 else self._law.same_model_within
            self._choose(person, is_new=is_new and place == 0, same=same, adapts=adapts)
            yield self._job(person, sitting.user, at_ms)

    def _choose(self, person: _Person, *, is_new: bool, same: float, adapts: bool) -> None:
        """What the person asks for now."""
        law, draws = self._law, self._draws
        keeps_model = not is_new and draws.share() < same
        if not keeps_model:
            person.model = self._other_model(person)
        if person.model in person.models:
            person.models.remove(person.model)
        person.models.insert(0, person.model)
        del person.models[_MOST_KNOWN:]
        if adapts:
            person.loras = self._loras_now(person, is_new=is_new)
        if is_new or draws.share() >= law.same_steps:
            person.steps = self._steps.at(draws.share())
        if is_new or draws.share() >= law.same_images:
            person.images = self._images.at(draws.share())
        if is_new or draws.share() >= law.same_task:
            person.task = self._tasks.at(draws.share())

    def _other_model(self, person: _Person) -> int:
        """One that is not the last one's: one that the person had before, or a popular one."""
        draws, before = self._draws, person.models
        if len(before) > 1 and draws.share() < self._law.back_to_known:
            # The one before the last most often, and so on: each half as likely as the one before it.
            at = min(draws.geometric(2.0), len(before) - 1)
            return before[at]
        last = before[0] if before else 0
        for _ in range(100):
            found = self._popular.at(draws.share())
            if found != last:
                return found
        return last  # a law with one model

    def _loras_now(self, person: _Person, *, is_new: bool) -> tuple[int, ...]:
        law, share = self._law, self._draws.share()
        if is_new or not person.loras:
            return self._new_loras(person) if share < (law.first_loras if is_new else law.takes_loras) else ()
        if share < law.leaves_loras:
            return ()
        return person.loras if self._draws.share() < law.same_loras else self._new_loras(person)

    def _new_loras(self, person: _Person) -> tuple[int, ...]:
        count = self._lora_counts.at(self._draws.share())
        found = tuple(dict.fromkeys(self._lora(person) for _ in range(count)))
        for lora in found:
            if lora in person.own:
                person.own.remove(lora)
            person.own.insert(0, lora)
        del person.own[_MOST_KNOWN:]
        return found

    def _lora(self, person: _Person) -> int:
        law, draws = self._law, self._draws
        if person.own and draws.share() < law.own_lora:
            return person.own[draws.below(len(person.own))]
        if not self._chosen or draws.share() < law.new_lora:
            self._loras += 1
            found = self._loras
        else:
            found = self._chosen[draws.below(len(self._chosen))]
        self._chosen.append(found)
        return found

    def _job(self, person: _Person, user: int, at_ms: int) -> SimulatedJob:
        terms, fails = self._terms, self._draws.share() < self._law.fails
        models = (
            _base(person.model, terms.sizes_seed),
            *(_lora(lora, terms.sizes_seed) for lora in person.loras),
        )
        return SimulatedJob(
            at_ms=at_ms,
            request=JobRequest(
                service=terms.service,
                payload=made_payload(
                    makes=("image",),
                    steps=person.steps,
                    images=person.images,
                    mark=f"{person.task} {len(person.loras)}",
                ),
                requires=Requirements(models=models),
                tenant=terms.tenant,
                user=f"p{user}",
            ),
            run_s={terms.gpu_class: self._run_s(person, user, fails=fails)},
            fails=fails,
        )

    def _run_s(self, person: _Person, user: int, *, fails: bool) -> float:
        law, draws = self._law, self._draws
        if fails:
            return round(draws.log_normal(law.fails_median_s, law.fails_deviation), 3)
        median_s = (
            self._pace(person.model)
            * person.images**law.power_of_images
            * (person.steps / 30) ** law.power_of_steps
            * law.factor_of_lora ** len(person.loras)
        )
        own = _normal_of(self._seed, user, person.model) * law.person_deviation
        return round(draws.log_normal(median_s * math.exp(own), law.run_deviation), 3)

    def _pace(self, model: int) -> float:
        if model <= len(self._law.first_paces_s):
            return self._law.first_paces_s[model - 1]
        if model not in self._paces:
            draws = Draws(self._seed, "pace", str(model))
            self._paces[model] = draws.log_normal(self._law.pace_median_s, self._law.pace_deviation)
        return self._paces[model]


@lru_cache(maxsize=_CACHED)
def _base(model: int, seed: int) -> ModelNeed:
    name = f"base-{model:04}.safetensors"
    return needed_file(name, "checkpoint", base_bytes(name, seed=seed))


@lru_cache(maxsize=_CACHED)
def _lora(lora: int, seed: int) -> ModelNeed:
    name = f"lora-{lora:06}.safetensors"
    return needed_file(name, "lora", lora_bytes(name, seed=seed))


@lru_cache(maxsize=_CACHED)
def _normal_of(seed: int, user: int, model: int) -> float:
    """How a person's requests to a model differ from those of others."""
    return Draws(seed, "person", str(user), str(model)).normal()


def popularity_weights(law: PictureLaw) -> list[tuple[int, float]]:
    """Models, called by their ranks from 1, and their shares.

    Raises:
        ValueError: ranks or shares do not grow.
    """
    found: list[tuple[int, float]] = []
    rank, share, weight = 0, 0.0, 1.0
    for to_rank, to_share in law.popularity:
        count, mass = to_rank - rank, to_share - share
        if count < 1 or mass <= 0:
            raise ValueError("popularity is pairs of a rank and the share up to it, and both grow")
        fall = _fall(count, mass / weight)
        first = mass * (1 - fall) / (1 - fall**count) if fall < 1 else mass / count
        found += [(rank + 1 + place, first * fall**place) for place in range(count)]
        rank, share, weight = to_rank, to_share, found[-1][1]
    return found


def _fall(count: int, times: float) -> float:
    """The factor from one to the next, so that `count` of them after one of weight 1 are `times` it: x + x² + … = times, at most 1."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        total = sum(middle**power for power in range(1, count + 1))
        low, high = (middle, high) if total < times else (low, middle)
    return high
