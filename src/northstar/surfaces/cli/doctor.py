"""`northstar doctor`: what is wrong with this host's installation, and what mends it."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec
import typer

from northstar.surfaces.cli.exit_codes import FAULT_FOUND
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, counted, harmless, print_hint, print_json

if TYPE_CHECKING:
    from northstar.policy.health_checks.finding import Finding

_STYLES: Final = {"ok": "green", "warning": "yellow", "fault": "red", "skipped": "dim"}


def doctor(
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Find the usual faults of this host's installation, and say what mends each.

    It looks at the data directory, the address, the certificate, open files, Valkey and its clock, the history, outputs, engines, and tokens
    of machines. Nothing is changed. Ends with 0 when nothing is faulty, with 5 when something is; warnings are no faults.
    """
    settings = settings_of(config, data_dir, valkey, cell)
    from northstar.assembly.examination.examine import examine
    from northstar.policy.health_checks.finding import has_fault

    findings = run(examine(settings, environment=os.environ))
    if as_json:
        _print_json(findings)
    else:
        _show(findings)
    if has_fault(findings):
        raise typer.Exit(FAULT_FOUND)


def _print_json(findings: list[Finding]) -> None:
    from northstar.surfaces.cli.pasting import pasteable

    told = [msgspec.structs.replace(one, what=pasteable(one.what), cure=pasteable(one.cure)) for one in findings]
    print_json({"checks": told})


def _show(findings: list[Finding]) -> None:
    for one in findings:
        print_hint(f"{one.verdict.upper():<9}{harmless(one.check):<22}{harmless(one.what)}", style=_STYLES[one.verdict])
        if one.cure:
            print_hint(f"{'':<9}{'':<22}next: {harmless(one.cure)}")
    found = Counter(one.verdict for one in findings)
    faults, warnings = counted(found["fault"], "fault"), counted(found["warning"], "warning")
    console().print(
        f"{faults}, {warnings}, {found['ok']} ok, {found['skipped']} not judged", style="bold", markup=False
    )
