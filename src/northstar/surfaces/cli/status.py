"""`northstar status`: the cell at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, counted, harmless, moment, print_json, print_table, span

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.store.history.state import HistoryState


def status(
    lanes: Annotated[int, typer.Option(min=0, max=500, help="Show so many lanes.")] = 20,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show counts, lanes, machines and pauses."""
    seen = run(_status(settings_of(config, data_dir, valkey, cell), lanes=lanes))
    if as_json:
        print_json(seen)
    else:
        _show(seen)


async def _status(settings: Settings, *, lanes: int) -> dict[str, Any]:
    from northstar.assembly.session import session
    from northstar.store.history.state import read_history_state
    from northstar.store.pauses import read_pauses
    from northstar.surfaces.cli.absent_machines import waiting_machines
    from northstar.surfaces.cli.machines import machine_rows

    async with session(settings) as broker:
        cell = broker.cell
        reply = await cell.statistics(lanes=lanes)
        counts = reply.counts
        return {
            "cell": cell.name,
            "now_ms": counts["now_ms"],
            "jobs": {
                "waiting": counts["waiting_size"],
                "running": counts["leases_size"],
                "delayed": counts["delayed_size"],
                # Failed ones among them, for as long as they are kept.
                "finished": counts["finished_size"],
                "failed": counts["dead_size"],
            },
            "totals": {name: counts[name] for name in ("submitted", "succeeded", "failed", "canceled", "expired")},
            "history_behind": counts["event"] - counts["committed_event"],
            "history": await read_history_state(cell, now_ms=counts["now_ms"]),
            "lanes": [msgspec.structs.asdict(lane) for lane in reply.lanes],
            "machines": await machine_rows(cell),
            "machines_waiting": await waiting_machines(cell),
            "pauses": await read_pauses(cell.client, cell.keys),
        }


def _show(seen: dict[str, Any]) -> None:
    out = console()
    out.print(f"cell {seen['cell']} at {moment(seen['now_ms'])}", style="bold", markup=False)
    for pause in seen["pauses"]:
        out.print(f"PAUSED {pause.scope} by {pause.by}: {pause.because}", style="yellow", markup=False)
    *others, (failed, number) = seen["jobs"].items()
    now = ", ".join(f"{count} {name}" for name, count in others)
    out.print(f"jobs now  {now}, {number} of them {failed}", markup=False)
    out.print("ever      " + ", ".join(f"{count} {name}" for name, count in seen["totals"].items()), markup=False)
    _show_history(seen["history"], behind=seen["history_behind"])
    if seen["lanes"]:
        print_table(
            ("LANE", "POOL", "WAITING", "UNFINISHED", "FOR"),
            ((lane["id"], lane["pool"], lane["waiting"], lane["live"], _needs(lane["key"])) for lane in seen["lanes"]),
        )
    if seen["machines"]:
        from northstar.surfaces.cli.machines import COLUMNS, machine_cells

        print_table(COLUMNS, map(machine_cells, seen["machines"]))
    else:
        out.print("no machines", style="yellow")
    if seen["machines_waiting"]:
        from northstar.surfaces.cli.absent_machines import waiting_line

        out.print(harmless(waiting_line(seen["machines_waiting"])), style="yellow", markup=False)


def _show_history(state: HistoryState, *, behind: int) -> None:
    """How far the history is, and, when it does not come on, why and what it means."""
    out, style = console(), "yellow" if state.stuck else ""
    where = f", at {state.place}" if state.place else ""
    out.print(f"history   {counted(behind, 'event')} behind{where}", style=style, markup=False)
    if not state.stuck:
        return
    since = f"for {span(state.waiting_ms)}"
    if state.code:
        out.print(f"          STUCK {since}: {state.code}: {state.sentence}", style=style, markup=False)
    else:
        out.print(f"          STUCK {since}: no broker writes it; is one running?", style=style, markup=False)
    out.print("          jobs go on; what is finished is kept in memory until the history has it", style=style)


def _needs(lane_key: str) -> str:
    from northstar.domain.requirements import RequirementClass, read_anchor_names

    hard = msgspec.json.decode(lane_key, type=tuple[RequirementClass, list[Any]])[0]
    words = [hard.service, *read_anchor_names(lane_key), *hard.tags, *hard.node_packs]
    if hard.vram_mb:
        words.append(f"{hard.vram_mb} MB VRAM")
    return ", ".join(words)
