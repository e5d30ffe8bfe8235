"""`northstar budget`: what the whole fleet may cost, for every broker of the cell: looking at it, setting it, and lifting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, confirm, me, run, settings_of
from northstar.surfaces.cli.printing import moment, print_hint, print_json, print_text

if TYPE_CHECKING:
    from northstar.broker.fleet_budget import FleetBudget, StandingBudget
    from northstar.config import Settings

_UNREADABLE: Final = "what this version cannot read"
_MOST_USD: Final = 1_000_000_000


def show(
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show what the fleet may cost in a day and in a month, and who said so. What is spent of it: northstar costs."""
    known = run(_standing(settings_of(config, data_dir, valkey, cell)))
    if as_json:
        print_json(_plain(known))
        return
    print_text(f"{'budget':<12} {_words(known)}")
    if known.version:
        print_text(f"{'set':<12} {moment(known.at_ms)} by {known.by}")
    else:
        print_hint("the cell has never had one; next: northstar budget set --usd-per-day USD")


def set_(
    usd_per_day: Annotated[
        float | None,
        typer.Option(
            "--usd-per-day", min=0, max=_MOST_USD, help="In a day of UTC, US dollars; 0: as much as it takes."
        ),
    ] = None,
    usd_per_month: Annotated[
        float | None,
        typer.Option("--usd-per-month", min=0, max=_MOST_USD, help="In a month of UTC; 0: as much as it takes."),
    ] = None,
    warn_at: Annotated[
        float | None,
        typer.Option(
            "--warn-at", min=0.01, max=1, help="The share of a budget, the fleet's or a tenant's, that is warned of."
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Set what the fleet may cost, for every broker of the cell at once, after showing what that changes. What is not named stays as it is."""
    import msgspec

    from northstar.broker.fleet_budget import FleetBudget

    said = {"usd_per_day": usd_per_day, "usd_per_month": usd_per_month, "warn_at": warn_at}
    named = {name: value for name, value in said.items() if value is not None}
    if not named:
        raise typer.BadParameter("say what it is to be: --usd-per-day, --usd-per-month or --warn-at")
    settings = settings_of(config, data_dir, valkey, cell)
    known = run(_standing(settings))
    wanted = msgspec.structs.replace(known.budget or FleetBudget(), **named)
    _put(settings, wanted, known=known, yes=yes, as_json=as_json)


def lift(
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Have the fleet cost what it takes, for every broker of the cell, whatever the settings of one say. Tenants' budgets stay."""
    import msgspec

    from northstar.broker.fleet_budget import FleetBudget

    settings = settings_of(config, data_dir, valkey, cell)
    known = run(_standing(settings))
    wanted = msgspec.structs.replace(known.budget or FleetBudget(), usd_per_day=0.0, usd_per_month=0.0)
    _put(settings, wanted, known=known, yes=yes, as_json=as_json)


def _put(settings: Settings, wanted: FleetBudget, *, known: StandingBudget, yes: bool, as_json: bool) -> None:
    if known.version and known.budget == wanted:
        _say(known, f"that is in force already: {wanted}", as_json=as_json)
        return
    confirm(
        f"the fleet's budget, now {_words(known)}, is to be {wanted}, for every broker of the cell",
        yes=yes,
        as_json=as_json,
    )
    now = run(_set(settings, wanted, known=known))
    _say(now, f"in force: {wanted}", as_json=as_json)


def _say(known: StandingBudget, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(known))
    else:
        print_hint(sentence, style="")


def _words(known: StandingBudget) -> str:
    return _UNREADABLE if known.budget is None else str(known.budget)


def _plain(known: StandingBudget) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(known)
    return plain


async def _standing(settings: Settings) -> StandingBudget:
    from northstar.assembly.session import session
    from northstar.broker.fleet_budget import standing_budget

    async with session(settings) as broker:
        return await standing_budget(broker.cell)


async def _set(settings: Settings, wanted: FleetBudget, *, known: StandingBudget) -> StandingBudget:
    from northstar.assembly.session import session
    from northstar.broker.fleet_budget import put_fleet_budget, standing_budget

    async with session(settings) as broker:
        await put_fleet_budget(broker.cell, wanted, known=known, by=me())
        return await standing_budget(broker.cell)
