"""Terms of tenants put in force by one process, and kept by every other that routes, whatever its own settings say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from northstar.store.cell import Cell
from northstar.store.documents import WantedDocument, put_documents
from northstar.store.valkey import connect
from tests.northstar_command import SETTINGS, Answer, Northstar, RunningProcess

TENANTS = """# Agreed in spring.
[tenants.acme]
enterprise = true
priority_at_least = 60

[tenants.union]
regions = ["eu"]
"""
OF_THE_SETTINGS = """
[tenants.acme]
enterprise = true
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Northstar, RunningProcess]]:
    northstar = Northstar(tmp_path_factory.mktemp("tenants"))
    with northstar.up("--no-machines") as process:
        yield northstar, process


@pytest.fixture
def northstar(running: tuple[Northstar, RunningProcess]) -> Iterator[Northstar]:
    """A cell in which nothing is agreed with anybody; that it once was stays in its history."""
    yield running[0]
    running[0].run("tenants", "reset", "--yes")


def a_file(northstar: Northstar, text: str, name: str = "tenants.toml") -> str:
    (northstar.folder / name).write_text(text)
    return name


def submitted(northstar: Northstar, tenant: str, *, settings: str = "", **job: object) -> Answer:
    """A job from a process that has other settings than the broker: those given, or none."""
    other = northstar.folder / "others.toml"
    other.write_text(settings)
    text = json.dumps({"service": "copy", "payload": {"text": "x"}, "tenant": tenant} | job)
    return northstar.run("submit", "-", "--json", stdin=text, NORTHSTAR_CONFIG=str(other))


def hears(up: RunningProcess, *words: str) -> None:
    """Wait until a broker's log has said all of it."""
    up.until(lambda: all(word in up.words() for word in words), what=f"the log says {words}")


def decision(answer: Answer) -> dict[str, Any]:
    assert answer.code == 0, answer
    (job,) = answer.json["jobs"]
    found: dict[str, Any] = job["decision"]
    return found


async def _write(northstar: Northstar, text: str) -> None:
    """As a newer version applies it."""
    await _write_document(northstar, msgspec.json.encode({"text": text, "source": "tenants.toml"}).decode())


async def _write_document(northstar: Northstar, body: str) -> None:
    client = connect(json.loads((northstar.data_dir / "run.json").read_text())["url"])
    try:
        wanted = WantedDocument(kind="tenants", name="current", body=body)
        await put_documents(Cell(client, "default"), [wanted], by="newer")
    finally:
        await client.aclose()


def test_terms_that_one_process_applies_hold_for_jobs_that_another_submits_without_them(northstar: Northstar) -> None:
    """Issue: "enterprise never leaves its limits". The submitter has no settings at all."""
    first = northstar.good("tenants", "apply", a_file(northstar, TENANTS), "--yes")
    assert [change["key"] for change in first["changes"]] == ["tenants.acme", "tenants.union"]
    found = decision(submitted(northstar, "acme"))
    assert (found["row"], found["pool"], found["guaranteed"]) == ("enterprise", "enterprise", True)
    refused = submitted(northstar, "union", requires={"regions": ["us"]})
    assert (refused.code, refused.err.partition(":")[0]) == (2, "NS_REGION_NOT_ALLOWED")
    job = northstar.good("jobs", "show", submitted(northstar, "union").json["jobs"][0]["id"])
    assert job["body"]["requires"]["regions"] == ["eu"]


def test_changed_terms_hold_at_once_also_in_a_broker_that_runs(
    running: tuple[Northstar, RunningProcess], northstar: Northstar
) -> None:
    _, up = running
    for text, row in ((TENANTS, "enterprise"), (TENANTS.replace("enterprise = true", "weight = 2"), "asked")):
        version = northstar.good("tenants", "apply", a_file(northstar, text), "--yes")["version"]
        hears(up, f"version={version}")
        assert decision(submitted(northstar, "acme", pool="standard"))["row"] == row
    assert "tenants_hold" in up.words()


def test_what_is_agreed_is_listed_shown_and_printed(northstar: Northstar) -> None:
    assert "nothing is agreed with anybody" in northstar.run("tenants", "list").out
    northstar.good("tenants", "apply", a_file(northstar, TENANTS), "--yes")
    listed = [line.split() for line in northstar.run("tenants", "list").out.splitlines()]
    assert listed == [
        ["TENANT", "ENTERPRISE", "REGIONS", "ISOLATION", "WEIGHT", "PRIORITY", "BUDGET"],
        ["acme", "yes", "any", "-", "1", "60", "or", "more", "none"],
        ["union", "-", "eu", "-", "1", "as", "asked", "for", "none"],
    ]
    assert northstar.good("tenants", "list")["tenants"]["union"]["regions"] == ["eu"]
    sheet = northstar.run("tenants", "show", "acme").out
    assert "pool         enterprise, whatever its jobs are, and nowhere else" in sheet
    assert "union" not in sheet
    assert "regions      eu only" in northstar.run("tenants", "show").out
    assert "nothing is agreed with it" in northstar.run("tenants", "show", "ada").out
    assert northstar.good("tenants", "show", "ada")["agreed"] is False
    assert northstar.run("tenants", "current").out == TENANTS


def test_a_file_is_checked_and_compared_before_it_is_applied_on_purpose(northstar: Northstar) -> None:
    file = a_file(northstar, TENANTS)
    checked = northstar.run("tenants", "check", file)
    assert checked.out.splitlines()[0] == "2 tenants, 1 with enterprise terms: all right"
    compared = northstar.good("tenants", "diff", file)
    assert compared["changes"][0] == {
        "key": "tenants.acme",
        "before": None,
        "after": {"enterprise": True, "priority_at_least": 60},
    }
    asked = northstar.run("tenants", "apply", file)
    assert (asked.code, asked.err.partition(":")[0]) == (2, "NS_CONFIRMATION_NEEDED")
    assert "2 keys of the terms of tenants in force change, for every broker of the cell" in asked.err
    assert "enterprise true, priority_at_least 60" in asked.out
    assert northstar.good("tenants", "list")["tenants"] == {}
    northstar.good("tenants", "apply", file, "--yes")
    assert northstar.run("tenants", "diff", file).out == "nothing differs\n"
    other = a_file(northstar, TENANTS.replace("60", "70"), "other.toml")
    assert northstar.good("tenants", "diff", other, "--against", file)["changes"] == [
        {"key": "tenants.acme.priority_at_least", "before": 60, "after": 70}
    ]


def test_a_file_that_is_wrong_changes_nothing(northstar: Northstar) -> None:
    file = a_file(northstar, "[tenants.acme]\nenterprize = true\n")
    for command in (("check",), ("diff",), ("apply", "--yes")):
        answer = northstar.run("tenants", command[0], file, *command[1:])
        assert (answer.code, answer.out) == (2, "")
        assert answer.err == (
            "NS_INVALID_TENANTS: tenants.toml: [tenants.acme] `enterprize` is no setting; did you mean `enterprise`?\n"
        )


def test_former_terms_are_kept_and_can_be_put_in_force_again(northstar: Northstar) -> None:
    first = northstar.good("tenants", "apply", a_file(northstar, TENANTS), "--yes")
    assert northstar.good("tenants", "apply", "tenants.toml", "--yes") == {"version": first["version"], "changes": []}
    second = northstar.good("tenants", "apply", a_file(northstar, "[tenants]\n", "none.toml"), "--yes")
    kept = northstar.good("tenants", "history")
    assert kept["in_force"] == second["version"]
    assert [(one["version"], one["source"]) for one in kept["applied"]][:2] == [
        (second["version"], "none.toml"),
        (first["version"], "tenants.toml"),
    ]
    assert northstar.run("tenants", "current", "--version", str(first["version"])).out == TENANTS
    assert northstar.good("tenants", "reset", "--yes") == {"version": 0}
    assert northstar.run("tenants", "current").out == "[tenants]\n"
    assert northstar.run("tenants", "reset", "--yes").err.partition(":")[0] == "NS_NO_TERMS_APPLIED"
    assert northstar.run("tenants", "current", "--version", "9999").err.partition(":")[0] == "NS_NO_SUCH_TERMS"


def test_settings_that_say_something_else_are_named_and_the_cells_terms_hold(northstar: Northstar) -> None:
    northstar.good("tenants", "apply", a_file(northstar, TENANTS), "--yes")
    answer = submitted(northstar, "union", settings='[tenants.union]\nregions = ["us"]\n', requires={"regions": ["eu"]})
    assert decision(answer)["row"] != "enterprise"
    assert "NS_TERMS_DIFFER" in answer.err
    assert "these settings say something else of acme, union than the cell" in answer.err
    same = submitted(northstar, "acme", settings=TENANTS)
    assert (decision(same)["row"], "NS_TERMS_DIFFER" in same.err) == ("enterprise", False)


def test_terms_that_a_newer_version_wrote_stop_every_submission_until_others_are_in_force(northstar: Northstar) -> None:
    northstar.good("tenants", "apply", a_file(northstar, TENANTS), "--yes")
    asyncio.run(_write(northstar, TENANTS + "carbon_budget_kg = 3\n"))
    for tenant in ("acme", "ada"):
        answer = submitted(northstar, tenant)
        assert (answer.code, answer.out) == (4, "")
        assert "NS_TERMS_UNREADABLE: the terms of tenants that hold in this cell cannot be used" in answer.err
    listed = northstar.run("tenants", "list")
    assert (listed.code, "NS_TERMS_UNREADABLE" in listed.err) == (4, True)
    applied = northstar.good("tenants", "apply", "tenants.toml", "--yes")
    assert applied["changes"][0]["key"] == "tenants"
    assert decision(submitted(northstar, "acme"))["row"] == "enterprise"


def test_terms_whose_document_cannot_be_read_are_replaced_as_the_error_says(northstar: Northstar) -> None:
    former = northstar.good("tenants", "apply", a_file(northstar, TENANTS), "--yes")["version"]
    northstar.good("tenants", "apply", a_file(northstar, "[tenants]\n", "none.toml"), "--yes")
    asyncio.run(_write_document(northstar, '["terms of tomorrow"]'))
    refused = submitted(northstar, "ada")
    assert (refused.code, "or put others in force: northstar tenants apply FILE" in refused.err) == (4, True)
    kept = northstar.good("tenants", "history")
    assert kept["applied"][0]["source"] == "what this version cannot read"
    assert northstar.run("tenants", "current", "--version", str(former)).out == TENANTS
    applied = northstar.good("tenants", "apply", a_file(northstar, TENANTS), "--yes")
    assert [change["key"] for change in applied["changes"]] == ["tenants"]
    assert decision(submitted(northstar, "acme"))["row"] == "enterprise"
    asyncio.run(_write_document(northstar, '["terms of tomorrow"]'))
    assert northstar.good("tenants", "reset", "--yes") == {"version": 0}
    assert decision(submitted(northstar, "acme"))["row"] != "enterprise"


def test_the_settings_of_a_first_broker_are_the_first_terms_of_its_cell_and_no_others(tmp_path: Path) -> None:
    northstar = Northstar(tmp_path, settings=SETTINGS + OF_THE_SETTINGS)
    with northstar.up("--no-machines") as up:
        assert decision(submitted(northstar, "acme"))["row"] == "enterprise"
        (kept,) = northstar.good("tenants", "history")["applied"]
        assert kept["source"].startswith("the settings on ")
        version = northstar.good("tenants", "apply", a_file(northstar, TENANTS), "--yes")["version"]
        hears(up, f"version={version}", "NS_TERMS_DIFFER")
        northstar.good("tenants", "reset", "--yes")
        up.stop()
    with northstar.up("--no-machines"):
        # That there are none is what the operator has said last.
        assert northstar.good("tenants", "list")["tenants"] == {}
        assert decision(submitted(northstar, "acme"))["row"] != "enterprise"


def test_a_client_whose_settings_have_terms_does_not_route_where_the_cell_never_had_any(tmp_path: Path) -> None:
    northstar = Northstar(tmp_path)
    with northstar.up("--no-machines"):
        answer = submitted(northstar, "acme", settings=OF_THE_SETTINGS)
        assert (answer.code, answer.out, answer.err.partition(":")[0]) == (3, "", "NS_TERMS_NOT_APPLIED")
        assert decision(submitted(northstar, "acme"))["row"] != "enterprise"
