"""The jobs of a scenario: from traces or laws, mixed, scaled and cut."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from northstar.simulation.fleet.lengths import length_hook
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.scenario.jobs import jobs_of
from northstar.simulation.scenario.survey import Surveyor
from northstar.simulation.scenario.workload_plan import WorkloadPlan

DAY_MS = 86_400_000
OWN = """\
submitted_s,service,user,modality,steps,models,ran_s
1733054400.000,pictures,ann,image,20,"[{""name"":""a.safetensors"",""kind"":""checkpoint"",""size_bytes"":4000000000}]",8.5
1733054460.000,pictures,ben,image,30,"[{""name"":""b.safetensors"",""kind"":""checkpoint"",""size_bytes"":6000000000}]",9.5
1733058000.000,chat,ann,text,,,1.5
"""
AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.csv").write_text(OWN)
    (tmp_path / "azure.csv").write_text(AZURE)
    return tmp_path


def jobs(folder: Path, *sources: dict[str, Any], seed: int = 1, **more: Any) -> list[SimulatedJob]:
    plan = msgspec.convert({"sources": list(sources), **more}, WorkloadPlan, dec_hook=length_hook)
    return list(jobs_of(plan, seed=seed, folder=folder))


OWN_TRACE = {"from": "own", "trace": "own.csv"}
MIX = {"from": "mix", "days": 1, "pictures": 100, "chats": 100, "media": 0, "training": 0}


def test_one_s_own_trace_is_found_from_the_folder_of_the_scenario(folder: Path) -> None:
    found = jobs(folder, OWN_TRACE)
    assert [(one.request.service, one.request.user) for one in found] == [
        ("pictures", "ann"),
        ("pictures", "ben"),
        ("chat", "ann"),
    ]


def test_sources_are_mixed_in_the_order_of_their_times(folder: Path) -> None:
    found = jobs(folder, OWN_TRACE, {"from": "azure", "trace": "azure.csv"})
    assert len(found) == 5
    assert all(one.at_ms <= other.at_ms for one, other in pairwise(found))


def test_jobs_are_made_by_laws_and_the_seed(folder: Path) -> None:
    assert jobs(folder, MIX) == jobs(folder, MIX) != jobs(folder, MIX, seed=2)


def test_two_equal_sources_are_two_different_crowds(folder: Path) -> None:
    both = jobs(folder, MIX, MIX)
    assert len(both) > len(jobs(folder, MIX))
    assert len({one.at_ms for one in both}) > 0.9 * len(both)


def test_so_many_times_as_many_users_or_so_many_times_as_fast(folder: Path) -> None:
    assert len(jobs(folder, OWN_TRACE, users=4)) == 12
    (*_, last), (*_, fast) = jobs(folder, OWN_TRACE), jobs(folder, OWN_TRACE, faster=4)
    assert fast.at_ms == last.at_ms // 4


def test_only_jobs_before_a_moment_come(folder: Path) -> None:
    assert all(one.at_ms < DAY_MS // 2 for one in jobs(folder, MIX, until="12h"))
    assert len(jobs(folder, MIX, until="12h")) < len(jobs(folder, MIX))


def test_the_same_work_takes_so_many_times_as_long_on_another_card(folder: Path) -> None:
    found = jobs(folder, MIX, gpu_paces={"rtx-3090": 2.0})
    assert all(one.seconds_on("rtx-3090") == pytest.approx(2 * one.seconds_on("l4"), abs=0.002) for one in found)


def test_users_belong_to_tenants_by_their_shares(folder: Path) -> None:
    found = jobs(folder, MIX, tenants=[{"name": "a", "share": 3}, {"name": "b", "share": 1}])
    of_user = {(one.request.user, one.request.tenant) for one in found}
    assert len(of_user) == len({user for user, _ in of_user}), "all jobs of a user are one tenant's"
    assert {tenant for _, tenant in of_user} == {"a", "b"}


def test_each_region_has_a_crowd_of_its_own_by_its_own_clock(folder: Path) -> None:
    found = jobs(folder, MIX, regions=[{"region": "us"}, {"region": "eu", "hours_later": 6}])
    by_region = {region: [one for one in found if one.request.requires.regions == (region,)] for region in ("us", "eu")}
    assert sum(map(len, by_region.values())) == len(found)
    assert min(one.at_ms for one in by_region["eu"]) >= DAY_MS // 4
    assert all(one.at_ms <= other.at_ms for one, other in pairwise(found))


def test_a_survey_keeps_the_most_that_is_needed(folder: Path) -> None:
    surveyor = Surveyor()
    for one in jobs(folder, OWN_TRACE):
        surveyor.see(one)
    found = surveyor.survey()
    assert (found.jobs, found.last_ms) == (3, jobs(folder, OWN_TRACE)[-1].at_ms)
    assert [(one.service, one.jobs, one.largest, one.largest_bytes) for one in found.asked] == [
        ("chat", 1, "", 0),
        ("pictures", 2, "b.safetensors", 6_000_000_000),
    ]


def test_a_mix_with_a_seed_of_its_own_is_the_same_in_every_run(folder: Path) -> None:
    assert jobs(folder, {**MIX, "seed": 7}, seed=1) == jobs(folder, {**MIX, "seed": 7}, seed=2)
    assert jobs(folder, {**MIX, "seed": 7}, seed=1) == jobs(folder, MIX, seed=7)
    assert jobs(folder, MIX, seed=1) != jobs(folder, MIX, seed=2)
