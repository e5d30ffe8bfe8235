"""Long modules begin first, so that the workers end together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import LONGEST_FIRST

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", LONGEST_FIRST)
def test_every_module_that_begins_first_is_there(module: str) -> None:
    assert (ROOT / module).is_file()
    assert LONGEST_FIRST.count(module) == 1


def test_the_order_is_the_one_in_which_the_workers_get_them(request: pytest.FixtureRequest) -> None:
    here = [item.nodeid.partition("::")[0] for item in request.session.items]
    long = [module for module in dict.fromkeys(here) if module in LONGEST_FIRST]
    assert list(dict.fromkeys(here))[: len(long)] == [module for module in LONGEST_FIRST if module in long]
    assert "--dist loadscope --no-loadscope-reorder" in (ROOT / "Makefile").read_text()
