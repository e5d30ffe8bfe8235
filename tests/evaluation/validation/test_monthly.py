"""What work costs beside as many uniform machines as serve it as well, on a fleet so small that it can be told beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.evaluation.validation.fleets import cost_fleet
from northstar.evaluation.validation.monthly import monthly_costs

MODEL = '"[{""name"":""x.safetensors"",""kind"":""checkpoint"",""size_bytes"":4000000000}]"'
#: A picture each quarter of a minute, which takes 20 s: too much for one machine, and enough for two.
TRACE = "submitted_s,service,user,modality,steps,models,ran_s\n" + "".join(
    f"{1_733_054_400 + 15 * at},pictures,u{at % 3},image,20,{MODEL},20\n" for at in range(24)
)
SCENARIO = """\
workload:
  sources: [{from: own, trace: mine.csv}]
fleet:
  kinds:
    small: {gpu: NVIDIA L4, vram_gb: 24, disk_gb: 80, pools: [fast-lane], services: [pictures], price_usd_per_hour: 0.5}
    large: {gpu: NVIDIA A100, vram_gb: 80, disk_gb: 200, pools: [fast-lane], services: [films], price_usd_per_hour: 2.0}
  groups:
    - {name: small, kind: small, count: 2}
window: {from: 2m}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.csv").write_text(TRACE)
    (tmp_path / "mine.yaml").write_text(SCENARIO)
    return tmp_path / "mine.yaml"


async def test_costs_are_those_beside_the_fewest_uniform_machines_that_serve_as_well(mine: Path) -> None:
    told: list[tuple[str, int]] = []
    found = await monthly_costs(cost_fleet(mine), (1,), tells=lambda what, seed: told.append((what, seed)))
    # As many, and each costs four times as much as a small one.
    assert found.said == "2 machines, 100.0% waited less than 10 s; as well as 2 uniform machines"
    cut = {name: found.figures[name].mean for name in ("hours-cut", "dollars-cut")}
    assert cut == pytest.approx({"hours-cut": 0.0, "dollars-cut": 0.75}, abs=0.01)
    assert found.figures["dollars-cut"].meets_goal
    assert not found.figures["hours-cut"].meets_goal
    assert found.figures["wait-10s"].mean == 1.0
    assert found.figures["utilisation"].mean > 0.5
    assert found.figures["dollars-per-1000"].mean == pytest.approx(0.5 * found.figures["hours-per-1000"].mean, rel=1e-5)
    assert {what for what, _ in told} == {"north-star, 2 machines", "uniform-lru, 2 machines", "uniform-lru, 1 machine"}
    assert "redundant-cut" not in found.figures, "nothing was fetched twice that could have been spared"


async def test_without_prices_only_hours_are_compared(mine: Path) -> None:
    mine.write_text(SCENARIO.replace(", price_usd_per_hour: 0.5", ""))
    found = await monthly_costs(cost_fleet(mine), (1,))
    assert "hours-cut" in found.figures
    assert not [name for name in found.figures if "dollars" in name]
    assert found.said.endswith("prices are not known, so dollars are not compared")
