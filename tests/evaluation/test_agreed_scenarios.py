"""Agreed scenarios: those that come with North Star are sound, and what is wrong in one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.domain.errors import NorthstarError
from northstar.evaluation.agreed.campaign import Campaign
from northstar.evaluation.agreed.errors import AgreedImpossible, TracesMissing, UnknownAgreed
from northstar.evaluation.agreed.reading import SETS, agreed_set
from northstar.simulation.scenario.running import ScenarioRuns
from tests.evaluation.agreed_rig import PAIR, WHOLE, tiny, written


@pytest.mark.parametrize("name", SETS)
def test_every_set_that_comes_with_north_star_can_be_read_and_feeds_figures_of_targets(name: str) -> None:
    found = agreed_set(name)
    assert {figure for one in found for figure in one.plan.feeds} >= {"wait-10s", "redundant-cut-40", "completion"}
    assert all(one.read.scenario.about and one.read.scenario.policies for one in found)
    judged = [one for one in found if one.plan.feeds]
    assert all(one.policy == "north-star" for one in judged)


def test_the_small_set_needs_nothing_but_the_project() -> None:
    assert not any(one.lacking() for one in agreed_set("small"))


def test_every_scenario_of_the_full_set_has_at_least_three_seeds() -> None:
    assert {one.name for one in agreed_set("full") if len(one.read.scenario.seeds) < 3} <= {"ten-thousand-machines"}


async def test_fleets_of_the_small_set_can_do_what_is_asked_of_them() -> None:
    for one in agreed_set("small"):
        prepared = await ScenarioRuns(one.read).prepare(one.read.scenario.seeds[0])
        assert prepared.survey.jobs > 500, one.name


def test_who_names_a_set_or_a_scenario_that_is_not_there_is_told_which_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownAgreed, match="there is no set 'smal', but small, full; did you mean small"):
        agreed_set("smal")
    with pytest.raises(UnknownAgreed, match="there is no scenario 'pear', but pair, whole; did you mean pair"):
        Campaign(tiny(tmp_path), set_name="tiny", version="1", only=["pear"])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("completion: {}", "completeness: {}", "no target has a figure 'completeness'"),
        ("completion: {}", "completion: {share: 1}", r"pair.yaml:6: `evaluation.feeds.completion.share`"),
        ("beside: uniform-lru", "beside: modelmesh-copies", "names policy modelmesh-copies, which the scenario does"),
        (", against: uniform-lru}", "}", "has one of `cut` and `against`, which go together"),
        ("of: whole", "of: hole", "names scenario hole, which the set does not have"),
        ("against: uniform-lru, of: whole", "against: north-star, of: whole", "which whole does not run"),
        ("completion: {}", "completion: {number: replicas, cut: hours, against: uniform-lru}", "`number` and `cut`"),
        ("completion: {}", "completion: {of: whole}", "and no `against`"),
        ("count: 2", "count: 0", r"pair.yaml:18: `fleet.groups\[0\].count` is not possible"),
    ],
)
def test_what_is_wrong_in_a_scenario_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(NorthstarError, match=says):
        tiny(tmp_path, pair=PAIR.replace(old, new), whole=WHOLE)


def test_a_figure_is_fed_once(tmp_path: Path) -> None:
    twice = WHOLE.replace("every_model: true", "every_model: true\n  feeds: {completion: {}}")
    with pytest.raises(AgreedImpossible, match=r"whole: `evaluation.feeds.completion` is fed by pair too"):
        tiny(tmp_path, pair=PAIR, whole=twice)


def test_tenants_lie_beside_the_scenario_and_traces_where_traces_are(tmp_path: Path) -> None:
    sets = written(tmp_path, pair=PAIR.replace("routing: uniform", "tenants: mine.toml"), whole=WHOLE)
    (sets / "tiny" / "mine.toml").write_text("[tenants.customer]\nenterprise = true\n")
    pair, _ = agreed_set("tiny", traces=tmp_path / "traces", folder=sets)
    assert [file.parent.name for file in pair.read.files()] == ["tiny", "traces"]
    assert not pair.lacking()


def test_what_lacks_its_trace_is_not_run_and_says_which_figures_stay_unmeasured(tmp_path: Path) -> None:
    agreed = agreed_set("tiny", traces=tmp_path, folder=written(tmp_path, pair=PAIR, whole=WHOLE))
    with pytest.raises(TracesMissing, match=rf"nothing can be run: {tmp_path} lacks some of them \(own.csv\)"):
        Campaign(agreed, set_name="tiny", version="1", traces=tmp_path)
    here = agreed_set(
        "tiny",
        folder=written(tmp_path, pair=PAIR.replace("own.csv", str(tmp_path / "traces" / "own.csv")), whole=WHOLE),
    )
    campaign = Campaign(here, set_name="tiny", version="1")
    assert [one.name for one in campaign.agreed] == ["pair"]
    assert campaign.lacking == {"whole": ("own.csv",)}
    assert campaign.unmeasured == {}
    some = PAIR.replace("of: whole", "of: other").replace(
        "    dollars-cut: {cut: dollars, against: uniform-lru, of: other}\n", ""
    )
    both = agreed_set(
        "tiny",
        folder=written(tmp_path, pair=some, whole=WHOLE.replace("own.csv", str(tmp_path / "traces" / "own.csv"))),
    )
    told = Campaign(both, set_name="tiny", version="1").results([]).why_not
    assert told["completion"] == "scenario pair replays own.csv, which is not there"
