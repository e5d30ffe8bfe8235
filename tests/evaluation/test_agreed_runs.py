"""From a scenario to a scorecard: every step real, on the embedded Valkey, with twelve pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.evaluation.agreed.campaign import Campaign
from northstar.evaluation.agreed.errors import ResultsDiffer
from northstar.evaluation.agreed.running import run_scenario
from northstar.evaluation.run_figures import RunSummary
from northstar.evaluation.scorecard import scorecard_of
from tests.evaluation.agreed_rig import PAIR, WHOLE, tiny

#: Machines that are cut off while three of the pictures come; another pool takes them.
CUT_OFF = """\
evaluation: {feeds: {cross-pool-fallback: {}, optimal-pool-strict: {}, optimal-pool-tolerant: {}, duration-wape: {}}}
workload:
  sources: [{from: own, trace: own.csv}]
fleet:
  kinds:
    fast: {gpu: NVIDIA L4, vram_gb: 24, disk_gb: 80, pools: [fast-lane], services: [pictures]}
    large: {gpu: NVIDIA L4, vram_gb: 24, disk_gb: 200, pools: [standard], services: [pictures]}
  groups:
    - {name: fast, kind: fast, count: 1}
    - {name: large, kind: large, count: 1}
faults:
  - {fault: partition, at: [200s], for: 250s, group: fast}
"""
#: Both models lie in the image of one of the machines.
BAKED = """\
evaluation: {feeds: {availability-baked: {}}}
workload:
  sources: [{from: own, trace: own.csv}]
fleet:
  kinds:
    l4:
      gpu: NVIDIA L4
      vram_gb: 24
      disk_gb: 80
      pools: [fast-lane]
      services: [pictures]
      image: [{name: x.safetensors, gb: 6}]
  groups:
    - {name: all, kind: l4, count: 1}
settings: {routing: uniform}
window: {from: 5m}
"""


async def test_scenarios_are_run_and_every_figure_that_they_feed_is_judged(tmp_path: Path) -> None:
    campaign = Campaign(tiny(tmp_path), set_name="tiny", version="1")
    assert (campaign.runs, campaign.takes_s) == (3, 3.0)
    runs = await campaign.run()
    assert [(run.scenario, run.policy, run.seed, run.jobs) for run in runs] == [
        ("pair", "north-star", 1, 12),
        ("pair", "uniform-lru", 1, 12),
        ("whole", "uniform-lru", 1, 12),
    ]
    results = campaign.results(runs)
    card = scorecard_of(results, version="1")
    figures = card.figures
    assert {name for name, one in figures.items() if one.measured} == {
        "wait-10s",
        "completion",
        "replicas",
        "demand-held",
        "availability-dynamic",
        "redundant-cut-40",
        "dollars-cut",
    }
    assert card.about == "agreed scenarios, set tiny"
    assert all(one.note for one in figures.values() if one.measured is None), "what is not measured says why"
    north, uniform, whole = runs
    # Each machine keeps one of the two models: each is fetched once, the others find theirs.
    assert (north.fetched_bytes, north.redundant_bytes) == (12_000_000_000, 0)
    assert uniform.redundant_bytes > 0
    cut = figures["redundant-cut-40"].measured
    assert cut is not None
    assert cut.median == 1.0
    # Two wait for their model: 6 GB in 48.5 s.
    assert north.figures["wait-10s"] == pytest.approx(10 / 12)
    assert figures["wait-10s"].baseline is not None
    # Nothing was anywhere before the first two came.
    assert north.figures["availability-dynamic"] == pytest.approx(10 / 12)
    assert whole.fetched_bytes == 0
    assert whole.figures["availability-baked"] == 1.0
    # Two machines at half a dollar beside one at two.
    assert figures["dollars-cut"].measured is not None
    assert figures["dollars-cut"].measured.median == pytest.approx(1 - 2 * 0.5 / 2, abs=0.06)


async def test_a_figure_that_asks_for_more_than_was_reached_is_not_measured_and_says_so(tmp_path: Path) -> None:
    strict = PAIR.replace("cut: redundant, ", "cut: redundant, if_soon: 0.95, ")
    campaign = Campaign(tiny(tmp_path, pair=strict, whole=WHOLE), set_name="tiny", version="1")
    results = campaign.results(await campaign.run())
    assert "redundant-cut-40" not in results.measured
    assert results.why_not["redundant-cut-40"] == (
        "only 83.3% waited less than 10 s (seed 1 of pair, north-star), of 95% that must"
    )


async def test_seeds_are_added_and_runs_that_were_made_are_not_made_again(tmp_path: Path) -> None:
    agreed = tiny(tmp_path)
    first = await Campaign(agreed, set_name="tiny", version="1", only=["whole"]).run()
    more = Campaign(agreed, set_name="tiny", version="1", only=["whole"], seeds=2)
    made: list[RunSummary] = []

    class Hears:
        def prepares(self, key: object, scenario: str) -> None: ...
        def begins(self, jobs: int, tally: object) -> None: ...
        def goes(self, progress: object) -> None: ...
        def ends(self, summary: RunSummary) -> None:
            made.append(summary)

    runs = await more.run(made=first, hearer=Hears())
    assert [(run.seed, run in made) for run in runs] == [(1, False), (2, True)]
    assert runs[0] is first[0]


async def test_what_was_not_run_with_the_same_seeds_is_not_compared(tmp_path: Path) -> None:
    campaign = Campaign(tiny(tmp_path), set_name="tiny", version="1", only=["pair"])
    results = campaign.results(await campaign.run())
    assert results.why_not["dollars-cut"] == "uniform-lru in whole was not run with the same seeds"


async def test_jobs_whose_pool_is_cut_off_finish_elsewhere_and_that_is_a_miss_of_the_optimal_pool(
    tmp_path: Path,
) -> None:
    (one,) = tiny(tmp_path, cut=CUT_OFF)
    (run,) = await run_scenario(one.read, name=one.name, plan=one.plan)
    # Submitted at 240, 300, 360 and 420 s, while the fast machine is not heard of.
    assert run.beside["fallback-jobs"] == 4
    assert run.figures["cross-pool-fallback"] == 1.0
    assert run.beside["fallback-elsewhere"] == 1.0
    # So did that of 180 s, which was running there when the line was cut.
    assert run.figures["optimal-pool-strict"] == pytest.approx(7 / 12)
    assert run.figures["duration-wape"] >= 0.0


async def test_baked_and_other_models_are_told_apart_at_admission(tmp_path: Path) -> None:
    (one,) = tiny(tmp_path, baked=BAKED)
    (run,) = await run_scenario(one.read)
    assert (run.scenario, run.figures["availability-baked"], run.figures["availability-dynamic"]) == ("", 1.0, 1.0)


async def test_results_of_another_version_or_scenario_are_not_gone_on_with(tmp_path: Path) -> None:
    campaign = Campaign(tiny(tmp_path), set_name="tiny", version="1", only=["whole"])
    kept = campaign.results(await campaign.run())
    file = tmp_path / "results.json"
    assert campaign.left_by(kept, file) == list(kept.runs)
    with pytest.raises(ResultsDiffer, match="was made by North Star 1, and this is 2"):
        Campaign(tiny(tmp_path), set_name="tiny", version="2").left_by(kept, file)
    changed = Campaign(tiny(tmp_path, pair=PAIR, whole=WHOLE + "window: {from: 1m}\n"), set_name="tiny", version="1")
    with pytest.raises(ResultsDiffer, match="scenario whole, or a trace that it names, is another one now"):
        changed.left_by(kept, file)
