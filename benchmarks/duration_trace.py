"""Requests with the times they took: read from a recorded trace, or made up with similar statistics."""

from __future__ import annotations

import csv
import gzip
import math
import random
from datetime import UTC, datetime
from pathlib import Path

import msgspec

FILE = "gentd26_requests.csv.gz"
DAY_S = 86_400.0
_NOON_S = DAY_S / 2
#: The made-up trace: models, users, days, and requests a day.
_MODELS, _USERS, _DAYS = 40, 300, 12


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request that succeeded; `at_s` counts from an epoch at midnight."""

    at_s: float
    ran_s: float
    kind: str
    user: str
    model: str
    steps: int
    images: int
    shape: str

    @property
    def day(self) -> int:
        """Service day: from noon to noon, since the trace is quiet then."""
        return math.floor((self.at_s - _NOON_S) / DAY_S)


def read_trace(folder: Path) -> list[Request]:
    """Requests of the recorded trace that succeeded, by time. Raises OSError where the file is not there."""
    with gzip.open(folder / FILE, "rt", newline="") as lines:
        found = [_request(row) for row in csv.DictReader(lines) if row["predict_status"] == "SUCCEED"]
    return sorted((request for request in found if request.ran_s > 0), key=lambda request: request.at_s)


def _request(row: dict[str, str]) -> Request:
    kind, steps, images = row["predict_type"], _count(row["num_inference_steps"]), _count(row["num_images_per_prompt"])
    return Request(
        at_s=datetime.fromisoformat(row["gmt_create"]).replace(tzinfo=UTC).timestamp(),
        ran_s=float(row["exec_time_seconds"] or 0),
        kind=kind,
        user=row["groupId"],
        model=row["checkpoint_model_version_id"],
        steps=steps,
        images=images,
        shape=f"{kind}|{steps}|{images}|{row['loras']}|{row['style']}",
    )


def _count(text: str) -> int:
    return int(float(text)) if text else 0


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
