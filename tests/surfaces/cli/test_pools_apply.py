"""Pools put in force from the command line, listed, printed and taken back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import msgspec
import pytest

from northstar.config.pools import packaged_text
from northstar.store.cell import Cell
from northstar.store.documents import WantedDocument, put_documents
from northstar.store.valkey import connect
from tests.northstar_command import Northstar

UNIFORM = packaged_text().replace('mode = "pools"', 'mode = "uniform"', 1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Northstar]:
    northstar = Northstar(tmp_path_factory.mktemp("pools"), settings="")
    with northstar.up("--no-machines"):
        yield northstar


def test_pools_are_applied_on_purpose_and_former_ones_can_be_put_in_force_again(running: Northstar) -> None:
    (running.folder / "uniform.toml").write_text(UNIFORM)
    asked = running.run("pools", "apply", "uniform.toml")
    assert (asked.code, asked.err.partition(":")[0]) == (2, "NS_CONFIRMATION_NEEDED")
    assert "1 key of the pools in force changes, for every broker of the cell" in asked.err
    assert [line.split() for line in asked.out.splitlines()] == [
        ["KEY", "BEFORE", "AFTER"],
        ["routing.mode", "pools", "uniform"],
    ]
    first = running.good("pools", "apply", "uniform.toml", "--yes")
    assert first["changes"] == [{"key": "routing.mode", "before": "pools", "after": "uniform"}]
    assert running.run("pools", "current").out == UNIFORM
    assert running.good("pools", "apply", "uniform.toml", "--yes") == {"version": first["version"], "changes": []}
    (running.folder / "again.toml").write_text(running.run("pools", "current").out + "\n# seen\n")
    second = running.good("pools", "apply", "again.toml", "--yes")
    assert second["version"] > first["version"]
    assert running.run("pools", "current", "--version", str(first["version"])).out == UNIFORM
    kept = running.good("pools", "history")
    assert kept["in_force"] == second["version"]
    assert [(one["version"], one["source"]) for one in kept["applied"]] == [
        (second["version"], "again.toml"),
        (first["version"], "uniform.toml"),
    ]
    assert running.good("pools", "reset", "--yes") == {"version": 0}
    assert running.run("pools", "current").out == packaged_text()
    assert running.run("pools", "reset", "--yes").err.partition(":")[0] == "NS_NO_POOLS_APPLIED"
    missing = running.run("pools", "current", "--version", "9999").err
    assert missing.partition(":")[0] == "NS_NO_SUCH_POOLS"
    assert f"versions that it keeps: {second['version']}, {first['version']} (northstar pools history)" in missing
    assert running.run("pools", "current", "--version", "0").code == 2
    told = running.run("pools", "history").out
    assert "Versions are numbers of the cell" in told
    # Not over the file in which somebody works.
    assert f"> pools-{second['version']}.toml && northstar pools apply pools-{second['version']}.toml" in told


def test_the_pools_that_are_shown_are_those_in_force_and_whose_word_they_are_is_said(running: Northstar) -> None:
    before = running.run("pools", "list").out.splitlines()[-1]
    assert before == (
        "in force in cell default: those that come with North Star; nobody has applied others: northstar pools apply FILE"
    )
    (running.folder / "uniform.toml").write_text(UNIFORM)
    version = running.good("pools", "apply", "uniform.toml", "--yes")["version"]
    listed = running.run("pools", "list").out.splitlines()
    assert "pools are switched off: any machine that is not kept for others takes any job" in listed
    assert listed[-1].startswith(f"in force in cell default: version {version}, from uniform.toml, applied by ")
    assert running.run("pools", "show", "heavy").out.splitlines()[-1] == listed[-1]
    known = running.good("pools", "list")
    assert (known["mode"], known["source"], known["version"]) == ("uniform", "applied", version)
    assert running.good("pools", "list", "--packaged")["mode"] == "pools"
    running.good("pools", "reset", "--yes")


def test_where_nothing_is_applied_the_file_of_the_settings_is_what_holds(running: Northstar) -> None:
    (running.folder / "uniform.toml").write_text(UNIFORM)
    file = str(running.folder / "uniform.toml")
    assert running.run("pools", "current", NORTHSTAR_ROUTING_POOLS_FILE=file).out == UNIFORM
    answer = running.run("pools", "list", NORTHSTAR_ROUTING_POOLS_FILE=file)
    assert f"in force in cell default: those of {file}" in answer.out
    (running.folder / "packaged.toml").write_text(packaged_text())
    asked = running.run("pools", "apply", "packaged.toml", NORTHSTAR_ROUTING_POOLS_FILE=file)
    assert [line.split() for line in asked.out.splitlines()][1:] == [["routing.mode", "uniform", "pools"]]


def test_a_file_is_compared_with_the_pools_in_force(running: Northstar) -> None:
    (running.folder / "uniform.toml").write_text(UNIFORM)
    version = running.good("pools", "apply", "uniform.toml", "--yes")["version"]
    compared = running.run("pools", "diff", "uniform.toml").out.splitlines()
    assert compared[0] == "nothing differs"
    assert compared[1].startswith(f"compared with: in force in cell default: version {version}, from uniform.toml, ")
    (running.folder / "packaged.toml").write_text(packaged_text())
    known = running.good("pools", "diff", "packaged.toml")
    assert known["changes"] == [{"key": "routing.mode", "before": "uniform", "after": "pools"}]
    assert (known["against"]["source"], known["against"]["version"]) == ("applied", version)
    assert running.good("pools", "diff", "packaged.toml", "--packaged")["changes"] == []
    running.good("pools", "reset", "--yes")


async def _write(northstar: Northstar, body: str) -> None:
    client = connect(json.loads((northstar.data_dir / "run.json").read_text())["url"])
    try:
        wanted = WantedDocument(kind="pools", name="current", body=body)
        await put_documents(Cell(client, "default"), [wanted], by="newer")
    finally:
        await client.aclose()


@pytest.mark.parametrize(
    "body",
    [msgspec.json.encode({"text": UNIFORM + "\n[newer]\n", "source": "pools.toml"}).decode(), '["pools of tomorrow"]'],
    ids=["text", "document"],
)
def test_pools_that_this_version_cannot_use_are_replaced_all_the_same(running: Northstar, body: str) -> None:
    """As terms of tenants are: else nobody could put others in force until a newer North Star comes."""
    (running.folder / "uniform.toml").write_text(UNIFORM)
    asyncio.run(_write(running, body))
    applied = running.good("pools", "apply", "uniform.toml", "--yes")
    assert applied["changes"] == [
        {"key": "pools", "before": "the pools that this version cannot use", "after": "those of the file"}
    ]
    assert running.good("pools", "list")["mode"] == "uniform"
    asyncio.run(_write(running, body))
    assert running.good("pools", "reset", "--yes") == {"version": 0}
    assert running.good("pools", "list")["mode"] == "pools"


def test_pools_whose_examples_go_elsewhere_are_not_applied(running: Northstar) -> None:
    wrong = packaged_text().replace("expected_s = 8\n", "expected_s = 100\n", 1)
    assert wrong != packaged_text()
    (running.folder / "wrong.toml").write_text(wrong)
    answer = running.run("pools", "apply", "wrong.toml", "--yes")
    assert (answer.code, answer.err.partition(":")[0]) == (3, "NS_POOLS_MISROUTE")
    assert "nothing was applied: northstar pools check wrong.toml" in answer.err


GIANT = """
[[models]]
name = "giant.safetensors"
kind = "checkpoint"
size_bytes = 90_000_000_000
sources = ["https://h.test/giant.safetensors"]
"""


def test_pools_that_keep_more_than_their_machines_may_are_refused_by_the_sizes_of_the_catalogue(
    running: Northstar,
) -> None:
    (running.folder / "giant.toml").write_text(GIANT)
    running.good("models", "import", "giant.toml")
    before, table, after = packaged_text().partition("[pools.fast-lane.models]\n")
    (running.folder / "full.toml").write_text(f'{before}{table}keep = ["giant.safetensors"]\n{after}')
    assert running.run("pools", "check", "full.toml").code == 0  # the file alone does not know how large the model is
    for command in (("check", "full.toml", "--catalogue"), ("apply", "full.toml", "--yes")):
        answer = running.run("pools", *command)
        assert (answer.code, answer.err.partition(":")[0]) == (2, "NS_INVALID_POOLS")
        assert (
            "[pools.fast-lane.models] `keep` names models of 90.0 GB together, and models may take 80 GB" in answer.err
        )
