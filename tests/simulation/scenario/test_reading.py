"""A scenario is read strictly: whatever is wrong is refused with a code, the line, the key and what may stand there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from northstar.domain.errors import NorthstarError
from northstar.simulation.fleet.errors import PlanImpossible
from northstar.simulation.fleet.laws import SaladBoot, SaladLifetime
from northstar.simulation.fleet.lengths import Length
from northstar.simulation.scenario.checks import check_jobs
from northstar.simulation.scenario.reading import ReadScenario, read_scenario, read_scenario_text
from northstar.simulation.scenario.survey import Asked, Survey
from northstar.simulation.tenant_terms import BudgetNotSimulated

GOOD = """\
about: A fleet of strangers' computers.
workload:
  sources:
    - from: mix
      days: 2
      pictures: 500
  users: 4
fleet:
  kinds:
    rtx-4090:
      gpu: NVIDIA GeForce RTX 4090
      vram_gb: 24
      disk_gb: 80
      price_usd_per_hour: 0.35
      pools: [fast-lane]
      services: [pictures, chat]
  groups:
    - name: salad
      kind: rtx-4090
      count: 24
      boot: {law: salad-week}
      lifetime: {law: salad-week}
faults:
  - fault: slow_link
    at: [2h, 5h]
    for: 30m
    factor: 0.1
    machines: 3
policies: [north-star]
seeds: [1, 2]
window: {from: 1d}
settings:
  patience: {share: 1.0}
"""
POLICIES = ("north-star", "uniform")


def read(text: str = GOOD, folder: Path = Path()) -> ReadScenario:
    return read_scenario_text(text, source="s.yaml", folder=folder, policies=POLICIES)


def with_(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_a_scenario_is_what_its_file_says() -> None:
    scenario = read().scenario
    (group,) = scenario.fleet.groups
    assert (group.name, group.count, group.boot, group.lifetime) == ("salad", 24, SaladBoot(), SaladLifetime())
    assert scenario.fleet.kinds["rtx-4090"].disk_gb == 80
    assert (scenario.seeds, scenario.policies) == ((1, 2), ("north-star",))
    assert scenario.window.begins == Length.of("1d")
    assert (scenario.workload.users, scenario.settings.patience.share) == (4, 1.0)


#: What is changed in the good scenario, and what is said of it.
WRONG = [
    # Keys and values.
    ("users: 4", "user: 4", "NS_INVALID_SCENARIO", 7, "`workload.user` is no key; did you mean `users`?"),
    ("seeds:", "seedlings:", "NS_INVALID_SCENARIO", 30, "`seedlings` is no key; did you mean `seeds`?"),
    ("disk_gb: 80", "disk_gbb: 80", "NS_INVALID_SCENARIO", 13, "`fleet.kinds.rtx-4090.disk_gbb` is no key; did you mean `disk_gb`?"),
    ("from: mix", "from: mixed", "NS_INVALID_SCENARIO", 4, "it is one of own, gentd26, azure, mooncake, mix"),
    ("    - from: mix\n      days", "    - days", "NS_INVALID_SCENARIO", 4, "`workload.sources[0].from` is missing; add it: one of own"),
    ("law: salad-week}\n      lifetime", "law: salad}\n      lifetime", "NS_INVALID_SCENARIO", 21, "one of fixed, exponential, measured, salad-week"),
    ("lifetime: {law: salad-week}", "lifetime: {law: exponential, mean: 12 hours}", "NS_INVALID_SCENARIO", 22, "write a whole number and a unit: 90s"),
    ("lifetime: {law: salad-week}", "lifetime: {law: exponential, means: 12h}", "NS_INVALID_SCENARIO", 22, "`fleet.groups[0].lifetime.means` is no key; did you mean `mean`?"),
    ("lifetime: {law: salad-week}", "lifetime: {law: exponential}", "NS_INVALID_SCENARIO", 22, "`fleet.groups[0].lifetime.mean` is missing"),
    ("lifetime: {law: salad-week}", "disks: shared", "NS_INVALID_SCENARIO", 22, "it is one of kept, lost"),
    ("fault: slow_link", "fault: flood", "NS_INVALID_SCENARIO", 24, "one of machine_loss, slow_link, corrupt_download, engine_death, partition, valkey_restart"),
    ("fault: slow_link\n    at: [2h, 5h]\n    for: 30m\n    factor: 0.1\n    machines: 3", "fault: valkey_restart\n    at: [2h]\n    for: 9s\n    lost: 2s", "NS_INVALID_SCENARIO", 27, "`faults[0].lost` is no key"),
    ("    for: 30m\n", "", "NS_INVALID_SCENARIO", 24, "`faults[0].for` is missing"),
    ("    factor: 0.1", "    factor: 10", "NS_INVALID_SCENARIO", 27, "`faults[0].factor` is not possible"),
    # Impossible fleets.
    ("count: 24", "count: 0", "NS_INVALID_SCENARIO", 20, "`fleet.groups[0].count` is not possible: Expected `int` >= 1"),
    ("count: 24", "count: -3", "NS_INVALID_SCENARIO", 20, "`fleet.groups[0].count`"),
    ("count: 24", "count: 1_000_000", "NS_INVALID_SCENARIO", 20, "<= 50000"),
    ("count: 24", "count: 24.5", "NS_INVALID_SCENARIO", 20, "Expected `int`"),
    ("price_usd_per_hour: 0.35", "price_usd_per_hour: -0.35", "NS_INVALID_SCENARIO", 14, "`fleet.kinds.rtx-4090.price_usd_per_hour` is not possible"),
    ("vram_gb: 24", "vram_gb: -1", "NS_INVALID_SCENARIO", 12, "`fleet.kinds.rtx-4090.vram_gb` is not possible"),
    ("disk_gb: 80", "disk_gb: 0", "NS_INVALID_SCENARIO", 13, "`fleet.kinds.rtx-4090.disk_gb` is not possible"),
    ("disk_gb: 80", "link_mb_per_s: 0", "NS_INVALID_SCENARIO", 13, "`fleet.kinds.rtx-4090.link_mb_per_s` is not possible"),
    ("pools: [fast-lane]", "pools: []", "NS_INVALID_SCENARIO", 15, "`fleet.kinds.rtx-4090.pools` is not possible"),
    ("    rtx-4090:\n", "    RTX 4090:\n", "NS_INVALID_SCENARIO", 10, "`fleet.kinds.RTX 4090` is no name that is possible here"),
    ("users: 4", "gpu_paces: {l4: 0}", "NS_INVALID_SCENARIO", 7, "`workload.gpu_paces.l4` is not possible: Expected `float` > 0.0"),
    ("users: 4", "gpu_paces: {L4: 1}", "NS_INVALID_SCENARIO", 7, "`workload.gpu_paces.L4` is no name that is possible here"),
    ("at: [2h, 5h]", "at: [2h, 5]", "NS_INVALID_SCENARIO", 25, "`faults[0].at[1]` is not possible: 5 is no length of time"),
    ("0.35", "{provider: X}", "NS_INVALID_SCENARIO", 14, "`fleet.kinds.rtx-4090.price_usd_per_hour.gpu` is missing"),
    ("name: salad", "name: Salad!", "NS_INVALID_SCENARIO", 18, "`fleet.groups[0].name` is not possible"),
    ("kind: rtx-4090", "kind: rtx-4080", "NS_SCENARIO_IMPOSSIBLE", 19, "'rtx-4080', one of rtx-4090; did you mean rtx-4090?"),
    ("pools: [fast-lane]", "pools: [fast-lain]", "NS_SCENARIO_IMPOSSIBLE", 15, "did you mean fast-lane?"),
    ("pools: [fast-lane]", "pools: [fast-lane, standard]", "NS_SCENARIO_IMPOSSIBLE", 15, "names standard, which does not take such a machine: it has 80.0 GB of disk"),
    ("disk_gb: 80", "disk_gb: 20", "NS_SCENARIO_IMPOSSIBLE", 15, "names fast-lane, which does not take such a machine"),
    ("      count: 24\n", "      count: 24\n      joins: 2h\n      leaves: 1h\n", "NS_SCENARIO_IMPOSSIBLE", 22, "`fleet.groups[0].leaves` is 60 min, not after"),
    ("  groups:\n", "  groups:\n    - {name: salad, kind: rtx-4090, count: 1}\n", "NS_SCENARIO_IMPOSSIBLE", 19, "which another group is called too"),
    ("  groups:\n", "  groups:\n    - {name: more, kind: rtx-4090, count: 49_990}\n", "NS_SCENARIO_IMPOSSIBLE", 21, "makes 50,014 machines"),
    # Groups that follow their queue.
    ("count: 24", "count: 24\n      scaling: {least: 25}", "NS_SCENARIO_IMPOSSIBLE", 21, "`fleet.groups[0].scaling.least` is 25, more than the group's count of 24"),
    ("count: 24", "count: 24\n      scaling: {every: 0s}", "NS_SCENARIO_IMPOSSIBLE", 21, "`fleet.groups[0].scaling.every` must be longer than nothing"),
    ("count: 24", "count: 24\n      scaling: {jobs_per_machine: 0}", "NS_INVALID_SCENARIO", 21, "`fleet.groups[0].scaling.jobs_per_machine` is not possible"),
    ("count: 24", "count: 24\n      scaling: {}", "NS_SCENARIO_IMPOSSIBLE", 23, "`fleet.groups[0].lifetime` is of groups whose machines come and go by themselves"),
    ("  groups:\n", "  groups:\n    - {name: a, kind: rtx-4090, count: 1, scaling: {}}\n    - {name: b, kind: rtx-4090, count: 1, scaling: {}}\n", "NS_SCENARIO_IMPOSSIBLE", 19, "`fleet.groups[1].scaling` follows the queue of fast-lane, which group a follows too"),
    # What is compared and counted.
    ("policies: [north-star]", "policies: [north-stars]", "NS_SCENARIO_IMPOSSIBLE", 29, "one of north-star, uniform; did you mean north-star?"),
    ("policies: [north-star]", "policies: [uniform, uniform]", "NS_SCENARIO_IMPOSSIBLE", 29, "`policies[1]` names uniform a second time"),
    ("seeds: [1, 2]", "seeds: [1, 2, 1]", "NS_SCENARIO_IMPOSSIBLE", 30, "`seeds[2]` names 1 a second time"),
    ("seeds: [1, 2]", "seeds: []", "NS_INVALID_SCENARIO", 30, "`seeds` is not possible"),
    ("seeds: [1, 2]", "seeds: [-1]", "NS_INVALID_SCENARIO", 30, "`seeds[0]` is not possible"),
    ("window: {from: 1d}", "window: {from: 1d, until: 1h}", "NS_SCENARIO_IMPOSSIBLE", 31, "not after the window's beginning"),
    ("window: {from: 1d}", "window: {from: 1d, last_days: 1}", "NS_SCENARIO_IMPOSSIBLE", 31, "in place of `from` and `until`"),
    ("settings:\n", "settings:\n  routing: none\n", "NS_INVALID_SCENARIO", 33, "it is one of pools, uniform"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "line", "says"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_told_with_its_line_its_key_and_what_may_stand_there(
    old: str, new: str, code: str, line: int, says: str
) -> None:
    with pytest.raises(NorthstarError) as refused:
        read(with_(old, new))
    assert refused.value.code == code
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"s.yaml:{line}: `")


def test_tenants_with_budgets_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "tenants.toml").write_text("[tenants.acme]\nweight = 2\nbudget_usd_per_month = 100\n")
    with pytest.raises(BudgetNotSimulated, match=r"^s\.yaml:33: `settings\.tenants` gives tenant acme a budget"):
        read(with_("settings:\n", "settings:\n  tenants: tenants.toml\n"), folder=tmp_path)


def test_a_machine_that_a_pool_would_refuse_is_taken_where_pools_are_off_or_others_hold(tmp_path: Path) -> None:
    small = with_("disk_gb: 80", "disk_gb: 20")
    assert read(small.replace("settings:", "settings:\n  routing: uniform")).pools().routing.mode == "uniform"
    text = Path(__file__).parents[3].joinpath("src/northstar/pools.toml").read_text()
    (tmp_path / "pools.toml").write_text(text.replace("min_gb = 40", "min_gb = 10"))
    read(small.replace("settings:", "settings:\n  pools: pools.toml"), folder=tmp_path)


@pytest.mark.parametrize(
    ("data", "says"), [(b"\xff\xfe", "is no text"), (b"a: b\n" * 50_000, "has more than 200,000 bytes")]
)
def test_a_file_that_cannot_be_a_scenario_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "s.yaml").write_bytes(data)
    with pytest.raises(NorthstarError, match=says):
        read_scenario(tmp_path / "s.yaml", policies=POLICIES)
    with pytest.raises(NorthstarError, match="cannot be read"):
        read_scenario(tmp_path / "none.yaml", policies=POLICIES)


# --- Against the jobs that will come ---------------------------------------------------------------------------------------


def survey(**asked: Any) -> Survey:
    facts: dict[str, Any] = {
        "service": "pictures",
        "pool": "",
        "jobs": 7,
        "largest": "",
        "largest_bytes": 0,
        "vram_mb": 0,
    }
    return Survey(7, 0, (Asked(**(facts | asked)),))


@pytest.mark.parametrize(
    ("asked", "path", "says"),
    [
        (
            {"service": "meshes"},
            "fleet.kinds",
            "offer no service meshes, which 7 jobs ask for; they offer chat, pictures",
        ),
        ({"pool": "heavy"}, "fleet.kinds", "leave pool heavy empty"),
        (
            {"largest": "video.safetensors", "largest_bytes": 90_000_000_000},
            "fleet.kinds.rtx-4090.disk_gb",
            "is 80, less than video.safetensors, a model of 90.0 GB",
        ),
        ({"vram_mb": 48_000}, "fleet.kinds.rtx-4090.vram_gb", "is 24, and jobs of service pictures ask for 48,000 MB"),
    ],
)
def test_a_fleet_that_cannot_do_what_will_be_asked_is_refused(asked: dict[str, Any], path: str, says: str) -> None:
    with pytest.raises(PlanImpossible) as refused:
        check_jobs(read().scenario.fleet, survey(**asked))
    assert refused.value.path == path
    assert says in str(refused.value)


def test_a_fleet_that_can_is_not() -> None:
    check_jobs(
        read().scenario.fleet, survey(largest="a", largest_bytes=80_000_000_000, vram_mb=24_000, pool="fast-lane")
    )


# --- What tells two scenarios apart -----------------------------------------------------------------------------------------


def test_a_scenario_is_the_same_by_what_it_says_and_what_its_files_hold(tmp_path: Path) -> None:
    traced = with_("    - from: mix\n      days: 2\n      pictures: 500\n", "    - {from: own, trace: mine.csv}\n")
    (tmp_path / "mine.csv").write_text("one")
    first = read(traced, tmp_path).digest()
    assert read("# a remark\n" + traced, tmp_path).digest() == first
    assert read(traced.replace("seeds: [1, 2]", "seeds: [3]"), tmp_path).digest() == first, "runs may be added"
    assert read(traced.replace("count: 24", "count: 25"), tmp_path).digest() != first
    (tmp_path / "mine.csv").write_text("two")
    assert read(traced, tmp_path).digest() != first


def test_a_file_that_is_not_there_is_named() -> None:
    traced = with_("    - from: mix\n      days: 2\n      pictures: 500\n", "    - {from: own, trace: none.csv}\n")
    with pytest.raises(NorthstarError, match=r"names none\.csv, which cannot be read"):
        read(traced).digest()
