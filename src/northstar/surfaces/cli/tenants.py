"""`northstar tenants`: what was agreed with whom, whether a file of it is right, what it would change, and putting it in force."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from northstar.domain.errors import NorthstarError
from northstar.surfaces.cli.applying import (
    FileKind,
    print_applied,
    print_changes,
    print_history,
    put_in_force,
    take_back,
)
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, run, settings_of
from northstar.surfaces.cli.printing import console, counted, print_hint, print_json, print_table, print_text

if TYPE_CHECKING:
    from northstar.broker.applied_files import AppliedFile, AppliedFiles
    from northstar.broker.terms_in_force import TermsInForce
    from northstar.config import Settings
    from northstar.config.key_changes import KeyChange
    from northstar.domain.tenancy import Tenants, TenantTerms
    from northstar.store.cell import Cell

TenantsFile = Annotated[Path, typer.Argument(metavar="FILE", help="Tenants, TOML: a table [tenants.NAME] for each.")]
_COLUMNS: Final = ("TENANT", "ENTERPRISE", "REGIONS", "ISOLATION", "WEIGHT", "PRIORITY", "BUDGET")


def _files(cell: Cell) -> AppliedFiles[Tenants]:
    from northstar.broker.terms_in_force import applied_tenants

    return applied_tenants(cell)


def _changes(_settings: Settings, known: AppliedFile | None, text: str) -> list[KeyChange]:
    from northstar.config.tenants import read_tenants_text, tenant_changes
    from northstar.domain.tenancy import NO_TENANTS

    before = NO_TENANTS if known is None else read_tenants_text(known.text, source=known.source)
    return tenant_changes(before, read_tenants_text(text, source="the file"))


def _none(_settings: Settings) -> tuple[str, str]:
    from northstar.config.tenants import tenants_text
    from northstar.domain.tenancy import NO_TENANTS

    return tenants_text(NO_TENANTS), "nothing was applied"


def _nothing_applied() -> NorthstarError:
    from northstar.broker.terms_in_force import NoTermsApplied

    return NoTermsApplied()


def _no_such(version: int, kept: tuple[int, ...]) -> NorthstarError:
    from northstar.broker.terms_in_force import NoSuchTerms

    return NoSuchTerms(version, kept=kept)


TENANTS: Final = FileKind(
    command="tenants",
    name="the terms of tenants",
    otherwise="nothing is agreed with any tenant",
    files=_files,
    changes=_changes,
    unapplied=_none,
    nothing_applied=_nothing_applied,
    no_such=_no_such,
)


def list_(
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List the tenants with whom something was agreed, and what, as it holds now in the cell."""
    terms = run(_in_force(settings_of(config, data_dir, valkey, cell)))
    tenants = terms.latest.tenants
    if as_json:
        print_json({"version": terms.version, "tenants": tenants})
        return
    print_table(_COLUMNS, (_cells(name, agreed) for name, agreed in tenants.items()))
    if not tenants:
        print_hint("nothing is agreed with anybody; next: northstar tenants apply FILE")


def show(
    tenant: Annotated[str | None, typer.Argument(metavar="TENANT", help="Default: all that are named.")] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show what holds for the jobs of a tenant; one that is not named has the usual terms."""
    tenants = run(_in_force(settings_of(config, data_dir, valkey, cell))).latest
    names = list(tenants.tenants) if tenant is None else [tenant]
    if as_json:
        shown = [
            {"tenant": name, "agreed": name in tenants.tenants, **_builtins(tenants.terms(name))} for name in names
        ]
        print_json({"tenants": shown} if tenant is None else shown[0])
        return
    for name in names:
        for key, value in _sheet(name, tenants.terms(name), is_named=name in tenants.tenants):
            print_text(f"{key:<12} {value}")
    if not names:
        print_hint("nothing is agreed with anybody")


def check(file: TenantsFile, as_json: AsJson = False) -> None:
    """Check a file of tenants: its names, its keys and their values."""
    from northstar.config.tenants import load_tenants

    tenants = load_tenants(file)
    enterprise = sum(terms.enterprise for terms in tenants.tenants.values())
    if as_json:
        print_json({"tenants": len(tenants.tenants), "enterprise": enterprise})
        return
    told = f"{counted(len(tenants.tenants), 'tenant')}, {enterprise} with enterprise terms: all right"
    console().print(told, markup=False)
    print_hint(f"next: northstar tenants diff {shlex.quote(str(file))}")


def diff(
    file: TenantsFile,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="FILE", help="Compare with this file. Default: what is in force in the cell."
        ),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show what a file of tenants changes, key by key."""
    from northstar.config.tenants import load_tenants, tenant_changes

    after = load_tenants(file)
    if against is None:
        before = run(_in_force(settings_of(config, data_dir, valkey, cell))).latest
    else:
        before = load_tenants(against)
    changes = tenant_changes(before, after)
    if as_json:
        print_json({"changes": changes})
    elif changes:
        print_changes(changes)
    else:
        console().print("nothing differs")


def apply(
    file: TenantsFile,
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Put a file of tenants in force for the whole cell, at once, after showing what it changes. Jobs that were accepted keep what held then."""
    from northstar.config.declared_files import read_text
    from northstar.config.tenants import InvalidTenants, read_tenants_text

    settings = settings_of(config, data_dir, valkey, cell)
    text = read_text(file, error=InvalidTenants)
    read_tenants_text(text, source=str(file))
    put_in_force(TENANTS, settings, file, text, yes=yes, as_json=as_json)


def current(
    version: Annotated[
        int | None,
        typer.Option("--version", metavar="N", min=1, help="One that was applied, by its number in `history`."),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Print the file of tenants that is in force, comments included: into a file, and back with `apply`, it puts former terms in force again."""
    print_applied(TENANTS, settings_of(config, data_dir, valkey, cell), version=version, as_json=as_json)


def history(
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List the files of tenants that were applied to the cell, the one in force first: when, which, and by whom. Twenty former ones are kept."""
    print_history(TENANTS, settings_of(config, data_dir, valkey, cell), as_json=as_json)


def reset(
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Take the applied terms back: no tenant has any, for every broker of the cell, whatever the settings of one say."""
    take_back(TENANTS, settings_of(config, data_dir, valkey, cell), yes=yes, as_json=as_json)


async def _in_force(settings: Settings) -> TermsInForce:
    from northstar.assembly.session import session
    from northstar.broker.terms_in_force import TermsInForce

    async with session(settings) as broker:
        terms = TermsInForce(broker.cell)
        await terms.look()
        return terms


def _builtins(terms: TenantTerms) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(terms)
    return plain


def _cells(name: str, terms: TenantTerms) -> tuple[object, ...]:
    return (
        name,
        "yes" if terms.enterprise else "-",
        " ".join(terms.regions) or "any",
        terms.isolation or "-",
        f"{terms.weight:g}",
        f"{terms.priority_at_least} or more" if terms.priority_at_least else "as asked for",
        _budget(terms),
    )


def _sheet(name: str, terms: TenantTerms, *, is_named: bool) -> list[tuple[str, str]]:
    """Everything, line by line."""
    return [
        ("tenant", name if is_named else f"{name} (nothing is agreed with it, so the usual terms hold)"),
        ("pool", "enterprise, whatever its jobs are, and nowhere else" if terms.enterprise else "as its jobs are"),
        ("regions", f"{', '.join(terms.regions)} only" if terms.regions else "any"),
        ("machines", f"only those dedicated to {terms.isolation}" if terms.isolation else "as its jobs ask"),
        ("share", f"{terms.weight:g} beside others' 1"),
        ("priority", f"{terms.priority_at_least} or more" if terms.priority_at_least else "as asked for"),
        ("budget", _budget(terms)),
    ]


def _budget(terms: TenantTerms) -> str:
    """What its jobs may cost."""
    budgets = ((terms.budget_usd_per_day, "day"), (terms.budget_usd_per_month, "month"))
    return ", ".join(f"{usd:g} USD a {period}" for usd, period in budgets if usd) or "none"
