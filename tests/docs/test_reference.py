"""The reference is what the code says."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import msgspec

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def script(name: str) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_configuration_page_is_what_the_script_writes() -> None:
    writer = script("write_configuration_reference")
    assert writer.PAGE.read_text() == writer.page(), "run: python scripts/write_configuration_reference.py"


def test_the_pages_of_jobs_and_errors_are_what_the_script_writes() -> None:
    for path, page in script("write_job_and_error_references").PAGES.items():
        assert path.read_text() == page(), "run: python scripts/write_job_and_error_references.py"


def test_the_page_of_commands_is_what_the_script_writes() -> None:
    writer = script("write_command_reference")
    assert writer.PAGE.read_text() == writer.page(), "run: python scripts/write_command_reference.py"


def test_the_page_of_commands_has_every_command_and_nothing_hidden() -> None:
    page = script("write_command_reference").page()
    for command in ("up", "agent [NAME]", "jobs events ID", "machines invite", "dead replay"):
        assert f" `northstar {command}" in page
    assert "supervis" not in page
    assert "`--json`" in page
    assert "`--yes, -y`" in page


def test_the_page_of_scenarios_is_what_the_script_writes() -> None:
    writer = script("write_scenario_reference")
    assert writer.PAGE.read_text() == writer.page(), "run: python scripts/write_scenario_reference.py"


def test_the_page_of_scenarios_has_every_key_that_a_scenario_may_have() -> None:
    """Whatever a struct below `Scenario` is reached by, the page has a section for it."""
    writer = script("write_scenario_reference")
    shown = {kind for section in writer.SECTIONS for kind in section.kinds}
    below, waiting = set(), [writer.Scenario]
    while waiting:
        kind = waiting.pop()
        if kind not in below:
            below.add(kind)
            waiting += [found for field in msgspec.structs.fields(kind) for found in structs_in(field.type)]
    assert below == shown


def structs_in(kind: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for part in get_args(kind):
        yield from structs_in(part)


def test_the_page_of_http_is_what_the_script_writes() -> None:
    writer = script("write_http_reference")
    assert writer.PAGE.read_text() == writer.page(), "run: python scripts/write_http_reference.py"


def test_every_field_of_the_page_of_http_has_a_meaning() -> None:
    page = script("write_http_reference").page()
    assert [row for row in page.splitlines() if row.endswith("| - |")] == [], (
        "say it beside the field, or in field_words"
    )


def test_every_code_that_a_route_can_answer_with_has_its_status_in_the_page_of_http() -> None:
    writer = script("write_http_reference")
    page, known = writer.page(), writer.statuses()
    for route in writer.http_routes(writer.application()):
        for status, codes in writer.codes_of(route).items():
            assert {known[code][0] for code in codes} <= {status}
            assert all(f"| {status} | `{code}` |" in page for code in codes)
    errors = (SCRIPTS.parent / "docs" / "reference" / "errors.md").read_text()
    of_the_front = {code for code, _ in writer.OF_THE_FRONT.values()}
    assert [code for code in known if code not in of_the_front and f"| `{code}` |" not in errors] == []
