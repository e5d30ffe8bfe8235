"""How long machines take to come and stay: the same for the same seed, and as the published figures have it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from northstar.simulation.fleet.laws import (
    BootLaw,
    Exponential,
    Fixed,
    LifetimeLaw,
    Measured,
    SaladBoot,
    SaladLifetime,
)
from northstar.simulation.fleet.lengths import Length, length_hook
from northstar.simulation.fleet.plan import FleetPlan, MachineGroup, MachineKind
from northstar.simulation.fleet.timeline import timeline
from northstar.simulation.workload.draws import Draws

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
WEEK_MS = 168 * HOUR_MS


def drawn(law: Fixed | Exponential | Measured | SaladBoot | SaladLifetime, count: int = 4_000) -> list[int]:
    numbers = Draws(1, "test")
    return sorted(law.draw_ms(numbers) for _ in range(count))


def test_a_fixed_law_is_always_the_same() -> None:
    assert set(drawn(Fixed(length=Length.of("90s")), 10)) == {90_000}


def test_an_exponential_law_has_its_mean_and_forgets() -> None:
    found = drawn(Exponential(mean=Length.of("12h")))
    assert sum(found) / len(found) == pytest.approx(12 * HOUR_MS, rel=0.05)
    beyond = [one - 12 * HOUR_MS for one in found if one > 12 * HOUR_MS]
    assert sum(beyond) / len(beyond) == pytest.approx(12 * HOUR_MS, rel=0.1)


def test_a_measured_law_is_straight_between_its_points() -> None:
    law = msgspec.convert(
        {
            "law": "measured",
            "points": [
                {"share": 0, "length": "0s"},
                {"share": 0.5, "length": "10m"},
                {"share": 1, "length": "60m"},
            ],
        },
        Measured,
        dec_hook=length_hook,
    )
    found = drawn(law)
    assert found[len(found) // 2] == pytest.approx(10 * MINUTE_MS, rel=0.05)
    assert found[len(found) * 3 // 4] == pytest.approx(35 * MINUTE_MS, rel=0.05)
    assert found[-1] <= 60 * MINUTE_MS


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([(0.1, "1s"), (1, "2s")], "share 0"),
        ([(0, "1s"), (0.9, "2s")], "share 1"),
        ([(0, "1s"), (0.5, "3s"), (1, "2s")], "rise"),
        ([(0, "1s"), (0, "2s"), (1, "3s")], "rise"),
    ],
)
def test_points_that_are_no_distribution_are_refused(points: list[tuple[float, str]], says: str) -> None:
    data = {"law": "measured", "points": [{"share": share, "length": length} for share, length in points]}
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert(data, BootLaw, dec_hook=length_hook)


@pytest.mark.parametrize("kind", [BootLaw, LifetimeLaw])
def test_a_law_is_told_by_its_name(kind: type[object]) -> None:
    assert msgspec.convert({"law": "exponential", "mean": "2d"}, kind, dec_hook=length_hook) == Exponential(
        mean=Length.of("2d")
    )


def test_half_of_salad_s_nodes_take_more_than_10_minutes_and_one_of_ten_more_than_40() -> None:
    found = drawn(SaladBoot())
    shares = {minutes: sum(one <= minutes * MINUTE_MS for one in found) / len(found) for minutes in (3, 10, 20, 40, 80)}
    assert shares == pytest.approx({3: 0.0, 10: 0.5, 20: 0.8, 40: 0.9, 80: 1.0}, abs=0.02)


def test_a_fleet_by_salad_s_week_loses_what_salad_published() -> None:
    """100 instances, 168 h: 182 losses, 25 never interrupted, 35 h for interrupted runs; here the mean of 20 such weeks."""
    kind = MachineKind(gpu="NVIDIA GeForce RTX 4090", vram_gb=24, pools=("fast-lane",), services=("pictures",))
    group = MachineGroup(name="salad", kind="rtx", count=2_000, lifetime=SaladLifetime(), boot=SaladBoot())
    plan = FleetPlan(kinds={"rtx": kind}, groups=(group,))
    found = timeline(plan, seed=1, end_ms=WEEK_MS, folder=Path())
    ended = [stay for stay in found.stays if stay.until_ms is not None and stay.until_ms < WEEK_MS]
    runs_h = [((stay.until_ms or 0) - stay.ready_ms) / HOUR_MS for stay in ended]
    hurt = {stay.seat for stay in ended}
    assert len(ended) / 20 == pytest.approx(182, rel=0.05)
    assert (2_000 - len(hurt)) / 20 == pytest.approx(25, abs=2)
    assert sum(runs_h) / len(runs_h) == pytest.approx(35, abs=2)
    by_day = [sum(day <= (stay.until_ms or 0) / HOUR_MS / 24 < day + 1 for stay in ended) / 20 for day in range(7)]
    assert by_day[0] > 45
    assert all(later < earlier * 1.1 for earlier, later in pairwise(by_day)), "young nodes die more"


@pytest.mark.parametrize("text", ["", "12", "1.5h", "-3h", "12 h", "3w", "99999d"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no length of time|longer than"):
        Length.of(text)


def test_lengths_are_equal_by_what_they_are() -> None:
    assert Length.of("2h") == Length.of("120m") != Length.of("2m")
    assert len({Length.of("2h"), Length.of("120m")}) == 1
    assert str(Length.of("36h")) == "36 h"
    with pytest.raises(NotImplementedError):
        length_hook(int, "2h")
    assert length_hook(Length, Length(5)) == Length(5)
