"""`northstar status`: the cell at a glance, what is wrong with it first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, counted, harmless, moment, print_hint, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.assembly.session import Session
    from northstar.broker.cell_status import CellStatus, NotedBudget
    from northstar.broker.webhooks.failing import FailingWebhook
    from northstar.config import Settings
    from northstar.domain.machine_rows import MachineRow
    from northstar.store.brokers import Broker
    from northstar.store.history.state import HistoryState


def status(
    lanes: Annotated[int, typer.Option(min=0, max=500, help="Show so many lanes.")] = 20,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show what is wrong and what to do about it; then counts, lanes, machines and brokers."""
    seen = run(_status(settings_of(config, data_dir, valkey, cell), lanes=lanes))
    if as_json:
        from northstar.surfaces.cli.pasting import pasteable

        told = (msgspec.structs.replace(one, command=pasteable(one.command)) for one in seen.troubles)
        print_json(msgspec.structs.replace(seen, troubles=tuple(told)))
    else:
        _show(seen)


async def _status(settings: Settings, *, lanes: int) -> CellStatus:
    from northstar.assembly.missing import missing_machines
    from northstar.assembly.session import session
    from northstar.broker.cell_status import read_status

    async with session(settings) as broker:
        failing = await _failing_webhooks(broker)
        return await read_status(broker.cell, missing_machines(broker), lanes=lanes, webhooks=failing)


async def _failing_webhooks(broker: Session) -> tuple[FailingWebhook, ...]:
    """As far as they can be told from here: who has no history of the cell knows those that were switched off."""
    from northstar.assembly.job_past import HistoryUnreadable, history_of
    from northstar.assembly.webhooks import registry_of
    from northstar.broker.webhooks.failing import failing_webhooks
    from northstar.store.history.webhook_log import DeliveryLog

    registry = registry_of(broker.cell, broker.settings)
    if not await registry.all():  # most have none, and need no database
        return ()
    try:
        async with history_of(broker) as history:
            return await failing_webhooks(registry, DeliveryLog(history, cell=broker.cell.name))
    except HistoryUnreadable:
        return await failing_webhooks(registry, None)


def _show(seen: CellStatus) -> None:
    out = console()
    out.print(f"cell {seen.cell} at {moment(seen.now_ms)}", style="bold", markup=False)
    for trouble in seen.troubles:
        print_hint(f"WRONG     {harmless(trouble.what)}", style="yellow")
        if trouble.command:
            print_hint(f"          next: {trouble.command}")
    if not seen.troubles:
        out.print("all well  nothing is paused, stuck or failed, and no job waits for what is not here", style="green")
    *others, (failed, number) = msgspec.structs.asdict(seen.jobs).items()
    now = ", ".join(f"{count} {name}" for name, count in others)
    out.print(f"jobs now  {now}, {number} of them {failed}", markup=False)
    totals = msgspec.structs.asdict(seen.totals)
    out.print("ever      " + ", ".join(f"{count} {name}" for name, count in totals.items()), markup=False)
    out.print(_slots(seen.machines), markup=False)
    _show_history(seen.history, behind=seen.history_behind)
    _show_brokers(seen.brokers)
    _show_budgets(seen.budgets)
    if seen.lanes:
        print_table(
            ("LANE", "POOL", "WAITING", "UNFINISHED", "FOR"),
            ((lane.id, lane.pool, lane.waiting, lane.live, _needs(lane.key)) for lane in seen.lanes),
        )
    if seen.machines:
        from northstar.surfaces.cli.machines import COLUMNS, machine_cells

        print_table(COLUMNS, map(machine_cells, seen.machines))


def _slots(machines: Sequence[MachineRow]) -> str:
    if not machines:
        return "machines  none"
    busy, slots = sum(machine.busy for machine in machines), sum(machine.slots for machine in machines)
    out = sum(machine.status == "out_of_work" for machine in machines)
    idle = f"; {out} of them out of work" if out else ""
    return f"machines  {len(machines)}, {busy} of {counted(slots, 'slot')} busy{idle}"


def _show_history(state: HistoryState, *, behind: int) -> None:
    where = f", at {state.place}" if state.place else ""
    style = "yellow" if state.stuck else ""
    console().print(f"history   {counted(behind, 'event')} behind{where}", style=style, markup=False, soft_wrap=True)


def _show_brokers(brokers: Sequence[Broker]) -> None:
    for at, broker in enumerate(brokers):
        label = "brokers" if not at else ""
        where = f"{broker.kind} on {broker.host}, outputs at {broker.outputs}"
        console().print(f"{label:<10}{harmless(where)}", markup=False, soft_wrap=True)


def _show_budgets(budgets: Sequence[NotedBudget]) -> None:
    """Those that are spent or nearly so; `northstar costs` tells of all."""
    from northstar.domain.budgets import FLEET

    for at, one in enumerate(budgets):
        label = "budgets" if not at else ""
        whose = "the fleet" if one.whose == FLEET else f"tenant {one.whose}"
        spent = f"{one.spent_usd:.2f} of {one.limit_usd:.2f} USD a {one.period} when it was noticed"
        told = f"{whose}: {'SPENT' if one.level == 'stopped' else 'nearly spent'}, {spent}; begins anew {moment(one.resets_ms)}"
        console().print(f"{label:<10}{harmless(told)}", style="yellow", markup=False, soft_wrap=True)


def _needs(lane_key: str) -> str:
    from northstar.domain.amounts import memory
    from northstar.domain.requirements import RequirementClass, read_anchor_names

    hard = msgspec.json.decode(lane_key, type=tuple[RequirementClass, list[Any]])[0]
    words = [hard.service, *read_anchor_names(lane_key), *hard.tags, *hard.node_packs]
    if hard.vram_mb:
        words.append(f"{memory(hard.vram_mb)} of VRAM")
    return ", ".join(words)
