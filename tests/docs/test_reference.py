"""The reference is what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "write_configuration_reference.py"


def test_the_configuration_page_is_what_the_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("write_configuration_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.PAGE.read_text() == script.page(), f"run: python {SCRIPT.name}"
