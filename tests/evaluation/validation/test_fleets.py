"""The fleets of which costs are compared: one's own, with one's own jobs and prices, and the uniform one that follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.evaluation.validation.errors import ValidationImpossible
from northstar.evaluation.validation.fleets import PACKAGED, cost_fleet
from northstar.simulation.scenario.errors import InvalidScenario
from northstar.simulation.scenario.workload_plan import OwnTrace

TRACE = "submitted_s,service,user,modality,steps,models,ran_s\n" + "".join(
    f"{1_733_054_400 + 30 * at},sketches,u{at % 3},image,20,,20\n" for at in range(5)
)


def test_a_uniform_machine_is_large_enough_for_all_and_costs_what_the_dearest_costs() -> None:
    fleet = cost_fleet()
    assert fleet.machines == sum(group.count for group in fleet.own.scenario.fleet.groups)
    assert fleet.has_prices
    uniform = fleet.uniform(7).scenario
    (kind,) = uniform.fleet.kinds.values()
    kinds = fleet.own.scenario.fleet.kinds.values()
    assert kind.vram_gb == max(one.vram_gb for one in kinds)
    assert kind.disk_gb == max(one.disk_gb for one in kinds)
    assert kind.price_usd_per_hour == max(one.price_usd_per_hour or 0 for one in kinds)  # type: ignore[type-var]
    assert set(kind.services) == {service for one in kinds for service in one.services}
    assert kind.slots == 1
    assert [group.count for group in uniform.fleet.groups] == [7]
    assert uniform.settings.routing == "uniform"
    assert uniform.workload == fleet.own.scenario.workload


def test_one_s_own_jobs_and_prices_take_the_place_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(TRACE)
    fleet = cost_fleet(trace=tmp_path / "mine.csv", prices={"lab": 9.0})
    (source,) = fleet.own.scenario.workload.sources
    assert isinstance(source, OwnTrace)
    assert Path(source.trace).is_absolute()
    assert {kind.services for kind in fleet.own.scenario.fleet.kinds.values()} == {("sketches",)}
    assert fleet.own.scenario.fleet.kinds["lab"].price_usd_per_hour == 9.0
    assert fleet.has_own_jobs


def test_costs_are_compared_with_those_of_the_same_machines_and_prices_and_one_s_own_jobs_of_any_month(
    tmp_path: Path,
) -> None:
    (tmp_path / "march.csv").write_text(TRACE)
    (tmp_path / "april.csv").write_text(TRACE.replace("u2", "u3"))
    march, april = (cost_fleet(trace=tmp_path / f"{month}.csv").basis for month in ("march", "april"))
    assert march == april
    assert march != cost_fleet().basis
    assert march != cost_fleet(trace=tmp_path / "march.csv", prices={"lab": 9.0}).basis
    assert cost_fleet().basis != cost_fleet(prices={"lab": 9.0}).basis


def test_a_price_of_no_kind_is_refused() -> None:
    with pytest.raises(
        ValidationImpossible, match=r"--price lap: .* has no such kind of machine; there are edge, fast"
    ):
        cost_fleet(prices={"lap": 1.0})


def test_what_is_wrong_with_one_s_own_scenario_is_told_with_its_line(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(PACKAGED.read_text().replace("count: 2", "count: 0"))
    with pytest.raises(InvalidScenario, match=r"mine\.yaml:\d+: "):
        cost_fleet(mine)


def test_a_fleet_of_unknown_prices_says_so(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(PACKAGED.read_text().replace(", price_usd_per_hour: 0.06", ""))
    assert not cost_fleet(mine).has_prices
