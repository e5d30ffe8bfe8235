"""What `northstar machines list` says of how machines stand."""

from __future__ import annotations

import pytest

from northstar.broker.machine_rows import rows_of
from northstar.domain.machines import MachineDescription
from northstar.surfaces.cli.machines import _show
from tests.policy.routing.builders import cell, machine

OUT = MachineDescription(takes_work=False, trouble="picture takes no work now: it died\x1b[2J")


def test_a_machine_whose_engines_are_out_is_not_active_and_says_why() -> None:
    rows = rows_of(cell(machine("a", description=OUT), machine("b"), machine("c", active=False)))
    assert [row.status for row in rows] == ["out_of_work", "active", "draining"]
    assert [bool(row.because) for row in rows] == [True, False, False]


def test_the_reason_and_the_next_command_are_told_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    _show(rows_of(cell(machine("a", description=OUT), machine("b"))))
    shown = capsys.readouterr().out
    assert "a        out of work" in shown
    assert "a takes no work: its engine is out: picture takes no work now: it died" in shown
    assert "  next: northstar machines show a\n" in shown
    assert "\x1b" not in shown


def test_of_many_such_machines_three_are_told_and_the_others_counted(capsys: pytest.CaptureFixture[str]) -> None:
    _show(rows_of(cell(*(machine(f"m{number}", description=OUT) for number in range(5)))))
    shown = capsys.readouterr().out
    assert shown.count("next: northstar machines show") == 3
    assert "and 2 machines more that take none" in shown
