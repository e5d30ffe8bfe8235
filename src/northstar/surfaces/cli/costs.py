"""`northstar costs`: what machine time was spent on, and what of it was idle."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from northstar.surfaces.cli.moments import Since, Until, within
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, counted, moment, print_json, print_table

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.domain.budgets import BudgetNow
    from northstar.domain.machine_time import Bill
    from northstar.store.history import Costs

_DAY_MS: Final = 86_400_000


class By(enum.StrEnum):
    """What costs are told by."""

    JOB = "job"
    TENANT = "tenant"
    USER = "user"
    POOL = "pool"
    MODEL = "model"
    MACHINE = "machine"
    GPU_CLASS = "gpu_class"


def costs(
    by: Annotated[
        By, typer.Option("--by", help="What they are told by; a model is the largest that a run needed.")
    ] = By.TENANT,
    since: Since = None,
    until: Until = None,
    count: Annotated[int, typer.Option("--count", min=1, max=10_000, help="Names to list, the dearest first.")] = 30,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Tell what machine time cost, by job, tenant, pool or model, and apart from it what machines cost that did nothing.

    Without --since: the last 7 days. Jobs that run side by side share their machine's time. Time of machines whose price nobody said is
    counted in hours only, never as free. A run is counted when it has ended; for budgets, which follow, also while it runs.
    """
    told, budgets = run(_costs(settings_of(config, data_dir, valkey, cell), by, since=since, until=until, count=count))
    if as_json:
        from northstar.broker.cost_reports import report_of

        print_json(report_of(told, by=by.value, budgets=budgets))
    else:
        _show(told, by=by)
        _show_budgets(budgets)


async def _costs(
    settings: Settings, by: By, *, since: str | None, until: str | None, count: int
) -> tuple[Costs, tuple[BudgetNow, ...]]:
    from northstar.assembly.budgets import budgets_of
    from northstar.assembly.job_past import history_of
    from northstar.assembly.session import session
    from northstar.store.history import CostReader

    async with session(settings) as broker:
        now_ms = (await broker.cell.inspect(())).now_ms
        since_ms, until_ms = within(since, until, now_ms=now_ms)
        async with history_of(broker) as database:
            told = await CostReader(database, cell=broker.cell.name).costs(
                since_ms=now_ms - 7 * _DAY_MS if since_ms is None else since_ms,
                until_ms=now_ms if until_ms is None else min(until_ms, now_ms),
                by=by.value,
                count=count,
            )
            return told, await budgets_of(broker.cell, database)


def _show(told: Costs, *, by: By) -> None:
    console().print(
        f"{moment(told.since_ms)} to {moment(told.until_ms)}, {counted(told.machines, 'machine')}", markup=False
    )
    print_table(
        (by.value.replace("_", " ").upper(), "RUNS", "MACHINE HOURS", "USD", "HOURS WITHOUT PRICE"),
        (
            *((name or "-", *_cells(bill)) for name, bill in told.by),
            ("all work", *_cells(told.busy)),
            ("idle", "-", *_cells(told.idle)[1:]),
        ),
    )
    if told.busy.unpriced_h + told.idle.unpriced_h > 0:
        console().print(
            "the price of some machines is not known, so USD is less than what was paid: set price_usd_per_hour of each machine in its settings",
            markup=False,
        )


def _cells(bill: Bill) -> tuple[object, ...]:
    from northstar.domain.costs import usd_of

    usd = usd_of(bill)
    shown = "unknown" if usd is None else f"{usd:.4f}"
    return bill.runs, f"{bill.hours:.3f}", shown, f"{bill.unpriced_h:.3f}" if bill.unpriced_h else "-"


def _show_budgets(budgets: tuple[BudgetNow, ...]) -> None:
    if not budgets:
        return
    from northstar.domain.budgets import FLEET

    print_table(
        ("BUDGET OF", "PER", "USD", "SPENT", "PART", "IS", "BEGINS ANEW"),
        (
            (
                "the fleet" if one.whose == FLEET else one.whose,
                one.period,
                f"{one.limit_usd:.2f}",
                f"{one.spent_usd:.4f}",
                f"{one.spent_usd / one.limit_usd:.0%}",
                {"within": "kept", "warned": "nearly spent", "stopped": "SPENT"}[one.level],
                moment(one.resets_ms),
            )
            for one in budgets
        ),
    )
