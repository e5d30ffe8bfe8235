"""Requests with the times they took: read from a recorded trace, or made up with similar statistics."""

from __future__ import annotations

import math
import random
from pathlib import Path

from northstar.evaluation.duration_replay import Request, read_requests

__all__ = ["DAY_S", "FILE", "Request", "made_up_trace", "read_trace"]

FILE = "gentd26_requests.csv.gz"
DAY_S = 86_400.0
_NOON_S = DAY_S / 2
#: The made-up trace: models, users, days, and requests a day.
_MODELS, _USERS, _DAYS = 40, 300, 12


def read_trace(folder: Path) -> list[Request]:
    """Requests of the recorded trace that succeeded, by time. Raises what `read_requests` does."""
    return read_requests(folder / FILE)


def made_up_trace(*, seed: int, a_day: int) -> list[Request]:
    """A trace of twelve days: models by a power law, users with habits, times log-normal around what model and work ask for."""
    rng = random.Random(seed)
    speed = {f"m{number}": rng.lognormvariate(2.6, 0.4) for number in range(_MODELS)}
    popularity = [1 / (number + 1) ** 1.3 for number in range(_MODELS)]
    habits = {f"u{number}": _habit(rng, list(speed), popularity) for number in range(_USERS)}
    found: list[Request] = []
    for number in range(_DAYS * a_day):
        user = rng.choice(list(habits))
        model, images, factor = habits[user]
        if rng.random() < 0.3:
            model, images = rng.choices(list(speed), popularity)[0], rng.choice([1, 1, 2, 4])
        median_s = speed[model] * images**0.5 * factor
        found.append(
            Request(
                at_s=_NOON_S + number * DAY_S / a_day,
                ran_s=round(rng.lognormvariate(math.log(median_s), 0.25), 3),
                kind="TXT_2_IMG",
                user=user,
                model=model,
                steps=30,
                images=images,
                shape=f"30|{images}",
            )
        )
    return found


def _habit(rng: random.Random, models: list[str], popularity: list[float]) -> tuple[str, int, float]:
    return rng.choices(models, popularity)[0], rng.choice([1, 1, 2, 4, 8]), rng.lognormvariate(0, 0.2)
