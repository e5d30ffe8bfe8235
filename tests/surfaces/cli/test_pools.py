"""`northstar pools`: what pools there are, whether a file of them is right, what it would change, and jobs by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from northstar.config.pools import packaged_text
from tests.northstar_command import Northstar


@pytest.fixture(scope="module")
def northstar(tmp_path_factory: pytest.TempPathFactory) -> Northstar:
    """Commands that need no broker."""
    return Northstar(tmp_path_factory.mktemp("pools"))


def changed(folder: Path, *changes: tuple[str, str]) -> str:
    """A file of pools that differs from the packaged one."""
    text = packaged_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "mine.toml").write_text(text)
    return str(folder / "mine.toml")


def test_the_six_pools_and_four_specialities_are_listed(northstar: Northstar) -> None:
    """Spec: "6 Pools vs. Original 3"."""
    *rows, whose = northstar.run("pools", "list", "--packaged").out.splitlines()
    assert whose == "those that come with North Star; what is in force in a cell, northstar pools list says"
    assert [row.split()[0] for row in rows if row[0] != " "] == [
        "POOL",
        "lightning",
        "fast-lane",
        "standard",
        "standard-photography",
        "standard-art",
        "standard-product",
        "standard-multi-modal",
        "heavy",
        "research",
        "enterprise",
    ]
    listed = northstar.run("pools", "list", "--packaged", "--json").json
    assert listed["mode"] == "pools"
    assert listed["pools"]["heavy"]["storage"] == {"min_gb": 300.0, "max_gb": 500.0}


def test_where_no_cell_runs_it_is_said_and_shown_what_would_hold(northstar: Northstar, tmp_path: Path) -> None:
    answer = northstar.run("pools", "list")
    assert (answer.code, "lightning" in answer.out) == (0, True)
    said = answer.out.splitlines()[-1]
    assert said.startswith("no cell runs here (NS_NOT_RUNNING: no North Star runs on data directory ")
    assert said.endswith("Were a cell started with these settings, those that come with North Star would hold in it")
    file = changed(tmp_path, ('mode = "pools"', 'mode = "uniform"'))
    given = northstar.run("pools", "list", "--json", NORTHSTAR_ROUTING_POOLS_FILE=file).json
    assert (given["mode"], given["source"], given["file"], given["cell"]) == ("uniform", "file", file, None)
    shown = northstar.run("pools", "show", "heavy", NORTHSTAR_ROUTING_POOLS_FILE=file).out
    assert shown.splitlines()[-1].endswith(f"those of {file} would hold in it")


def test_of_two_kinds_of_pools_one_must_be_chosen(northstar: Northstar) -> None:
    answer = northstar.run("pools", "list", "--packaged", "--file", "x.toml")
    assert (answer.code, "say one of --file and --packaged" in answer.err) == (2, True)


def test_pools_that_are_off_are_said_to_be(northstar: Northstar, tmp_path: Path) -> None:
    file = changed(tmp_path, ('mode = "pools"', 'mode = "uniform"'))
    told = northstar.run("pools", "list", "--file", file).out
    assert "pools are switched off" in told
    assert "100%" not in told
    assert told.splitlines()[0].split()[-2:] == ["TRAFFIC", "PURPOSE"]
    (heavy,) = [row for row in told.splitlines() if row.startswith("heavy ")]
    assert " off " in heavy


def test_a_pool_is_shown_with_everything_it_promises(northstar: Northstar) -> None:
    sheet = northstar.run("pools", "show", "enterprise", "--packaged").out
    for line in ("machines     any number; none that may be taken away; serving no other pool", "priority     +30"):
        assert line in sheet
    assert northstar.run("pools", "show", "lightning", "--packaged", "--json").json["scaling"]["prefers_edge"] is True


def test_a_pool_that_is_not_there_is_told(northstar: Northstar) -> None:
    answer = northstar.run("pools", "show", "slow")
    assert answer.code == 2
    assert answer.err.startswith("NS_NO_SUCH_POOL: there is no pool 'slow'; there are lightning, fast-lane, standard,")


def test_the_printed_file_is_a_beginning_of_ones_own(northstar: Northstar, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(northstar.run("pools", "print").out)
    answer = northstar.run("pools", "check", str(tmp_path / "mine.toml"))
    assert (answer.code, answer.out.splitlines()[0]) == (0, "10 pools, 23 examples, 5 workflows: all right")
    compared = northstar.run("pools", "diff", str(tmp_path / "mine.toml"), "--packaged").out.splitlines()
    assert compared[0] == "nothing differs"
    assert compared[1].startswith("compared with: those that come with North Star")


def test_an_example_that_goes_elsewhere_fails_the_check(northstar: Northstar, tmp_path: Path) -> None:
    file = changed(tmp_path, ("expected_s = 420", "expected_s = 42"))
    answer = northstar.run("pools", "check", file)
    assert answer.code == 1
    assert "AnimateDiff" in answer.out
    misrouted = northstar.run("pools", "check", file, "--json").json["misrouted"]
    assert misrouted == [{"pool": "heavy", "example": "AnimateDiff", "routed_to": "standard", "row": "standard"}]


def test_a_file_that_is_wrong_is_told_with_table_and_key(northstar: Northstar, tmp_path: Path) -> None:
    file = changed(tmp_path, ("below_s = 3\n", "belov_s = 3\n"))
    answer = northstar.run("pools", "check", file)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"NS_INVALID_POOLS: {file}: [pools.lightning.band] `belov_s` is no setting; did you mean `below_s`?\n"
    )


def test_a_folder_of_workflows_that_is_nowhere_is_told(northstar: Northstar, tmp_path: Path) -> None:
    file = changed(tmp_path, ('"workflows/art"', '"workflows/dance"'))
    answer = northstar.run("pools", "check", file)
    assert (answer.code, "[pools.standard-art] `workflows` names" in answer.err) == (2, True)


def test_a_workflow_that_is_no_graph_fails_the_check(northstar: Northstar, tmp_path: Path) -> None:
    folder = tmp_path / "workflows" / "art"
    folder.mkdir(parents=True)
    (folder / "broken.json").write_text('{"nodes": [], "links": []}')
    answer = northstar.run("pools", "check", changed(tmp_path))
    assert answer.code == 2
    assert answer.err.startswith(
        "NS_WORKFLOW_UNUSABLE: workflow standard-art/broken is no graph in ComfyUI's API format"
    )


def test_what_a_file_changes_is_shown_key_by_key(northstar: Northstar, tmp_path: Path) -> None:
    file = changed(
        tmp_path, ("min_gb = 300\n", "min_gb = 200\n"), ("expected_s = 420", "expected_s = 430"), ("spot = true\n", "")
    )
    extra = '\n[pools.night-shift]\npurpose = "cheap power"\nmodels = { takes = ["image"] }\n'
    Path(file).write_text(Path(file).read_text() + extra)
    assert northstar.run("pools", "diff", file, "--packaged", "--json").json["changes"] == [
        {"key": "pools.heavy.storage.min_gb", "before": 300.0, "after": 200.0},
        {"key": "pools.heavy.examples.AnimateDiff.expected_s", "before": 420.0, "after": 430.0},
        {"key": "pools.night-shift", "before": None, "after": "cheap power"},
    ]
    assert "pools.heavy.storage.min_gb" in northstar.run("pools", "diff", file, "--packaged").out


def test_where_no_cell_runs_a_file_is_compared_with_what_would_hold(northstar: Northstar, tmp_path: Path) -> None:
    file = changed(tmp_path, ("min_gb = 300\n", "min_gb = 200\n"))
    answer = northstar.run("pools", "diff", file)
    assert (answer.code, "pools.heavy.storage.min_gb" in answer.out) == (0, True)
    said = answer.out.splitlines()[-1]
    assert said.startswith("compared with: no cell runs here (NS_NOT_RUNNING: no North Star runs on data directory ")
    same = northstar.run("pools", "diff", file, "--json", NORTHSTAR_ROUTING_POOLS_FILE=file).json
    assert (same["changes"], same["against"]["source"], same["against"]["file"]) == ([], "file", file)


def test_two_files_can_be_compared(northstar: Northstar, tmp_path: Path) -> None:
    file = changed(tmp_path, ("min_gb = 300\n", "min_gb = 200\n"))
    compared = northstar.run("pools", "diff", file, "--against", file).out.splitlines()
    assert (compared[0], compared[1].startswith(f"compared with: those of {file}")) == ("nothing differs", True)
    both = northstar.run("pools", "diff", file, "--against", file, "--packaged")
    assert (both.code, "say one of --against and --packaged" in both.err) == (2, True)


def test_each_speciality_brings_workflows_that_can_be_submitted_by_name(northstar: Northstar) -> None:
    """Spec, Standard: `COPY workflows/${SPECIALTY}/ /workspace/workflows/`."""
    names = northstar.run("pools", "workflows", "--json").json["workflows"]
    assert {name.partition("/")[0] for name in names} == {
        "standard-photography",
        "standard-art",
        "standard-product",
        "standard-multi-modal",
    }
    job = northstar.run(
        "pools",
        "workflow",
        "standard-art/illustration",
        "--service",
        "picture",
        "--set",
        "2.text=a cat",
        "--set",
        "5.seed=7",
    ).json
    assert (job["service"], job["pool"]) == ("picture", "standard-art")
    graph = job["payload"]["prompt"]
    assert (graph["2"]["inputs"]["text"], graph["5"]["inputs"]["seed"]) == ("a cat", 7)
    assert graph["5"]["class_type"] == "KSampler"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["standard-art/dance"],
            "NS_NO_SUCH_WORKFLOW",
            "there is no workflow 'standard-art/dance' (known: standard-art/ill",
        ),
        (
            ["standard-art/illustration", "--set", "2.words=x"],
            "NS_WORKFLOW_UNUSABLE",
            "has no input 2.words; it has 1.ckpt",
        ),
        (["standard-art/illustration", "--set", "99.text=x"], "NS_WORKFLOW_UNUSABLE", "has no input 99.text"),
    ],
)
def test_a_workflow_or_an_input_that_is_not_there_is_told(
    northstar: Northstar, arguments: list[str], code: str, sentence: str
) -> None:
    answer = northstar.run("pools", "workflow", *arguments, "--service", "picture")
    assert answer.code == 2
    assert answer.err.startswith(f"{code}: ")
    assert sentence in answer.err


def test_a_value_without_a_place_is_a_mistake_of_the_command(northstar: Northstar) -> None:
    answer = northstar.run(
        "pools", "workflow", "standard-art/illustration", "--service", "picture", "--set", "nonsense"
    )
    assert answer.code == 2
    assert "is not NODE.INPUT=VALUE" in answer.err


def test_every_graph_that_comes_with_north_star_names_only_nodes_that_it_has(northstar: Northstar) -> None:
    for name in northstar.run("pools", "workflows", "--json").json["workflows"]:
        graph = northstar.run("pools", "workflow", name, "--service", "picture").json["payload"]["prompt"]
        links = [value for node in graph.values() for value in node["inputs"].values() if isinstance(value, list)]
        assert {source for source, _ in links} <= graph.keys(), json.dumps(links)
