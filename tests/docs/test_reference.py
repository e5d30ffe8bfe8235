"""The reference is what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

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
