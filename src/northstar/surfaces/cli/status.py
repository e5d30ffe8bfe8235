"""`northstar status`: the cell at a glance, what is wrong with it first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, counted, harmless, moment, print_hint, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.config import Settings
    from northstar.store.brokers import Broker
    from northstar.store.cell import Cell
    from northstar.store.history.state import HistoryState

#: Lanes that are looked at for jobs that nobody can do, however many are shown.
_JUDGED_LANES: Final = 500
#: Waiting jobs that are looked at for the first one of a lane that nobody serves.
_LOOKED_AT: Final = 200


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

        told = [{"what": one.what, "command": pasteable(one.command)} for one in seen["troubles"]]
        print_json(seen | {"troubles": told})
    else:
        _show(seen)


async def _status(settings: Settings, *, lanes: int) -> dict[str, Any]:
    from northstar.assembly.missing import missing_machines
    from northstar.assembly.session import session
    from northstar.store.brokers import read_brokers
    from northstar.store.history.state import read_history_state
    from northstar.store.pauses import read_pauses
    from northstar.store.snapshots import read_snapshot
    from northstar.surfaces.cli.absent_machines import waiting_machines
    from northstar.surfaces.cli.machines import rows_of
    from northstar.surfaces.cli.troubles import Seen, troubles

    async with session(settings) as broker:
        cell = broker.cell
        reply = await cell.statistics(lanes=max(lanes, _JUDGED_LANES))
        counts = reply.counts
        history = await read_history_state(cell, now_ms=counts["now_ms"])
        view = await read_snapshot(cell.client, cell.keys)
        pauses = await read_pauses(cell.client, cell.keys)
        brokers = await read_brokers(cell)
        waiting = await waiting_machines(cell)
        of_this_host = missing_machines(broker).of_this_host.values()
        seen = Seen(
            now_ms=counts["now_ms"],
            waiting=counts["waiting_size"],
            failed=counts["dead_size"],
            view=view,
            lanes=reply.lanes,
            brokers=brokers,
            history=history,
            pauses=pauses,
            waiting_machines=waiting,
            first_waiting=await _first_waiting(cell) if counts["waiting_size"] else {},
            given_up=[one for one in of_this_host if one.given_up and one.name not in view.machines],
        )
        return {
            "cell": cell.name,
            "now_ms": counts["now_ms"],
            "troubles": troubles(seen),
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
            "history": history,
            "lanes": [msgspec.structs.asdict(lane) for lane in reply.lanes[:lanes]],
            "machines": rows_of(view),
            "machines_waiting": waiting,
            "pauses": pauses,
            "brokers": brokers,
        }


async def _first_waiting(cell: Cell) -> dict[str, str]:
    """The first job of each lane in which some wait, by the lane's text, as far as the first ones of the cell tell."""
    from northstar.broker.job_views import look_at

    ids = (await cell.list_jobs("waiting", count=_LOOKED_AT)).jobs
    found: dict[str, str] = {}
    for view in await look_at(cell, ids):
        found.setdefault(view.lane_key, view.id)
    return found


def _show(seen: dict[str, Any]) -> None:
    out = console()
    out.print(f"cell {seen['cell']} at {moment(seen['now_ms'])}", style="bold", markup=False)
    for trouble in seen["troubles"]:
        print_hint(f"WRONG     {harmless(trouble.what)}", style="yellow")
        if trouble.command:
            print_hint(f"          next: {trouble.command}")
    if not seen["troubles"]:
        out.print("all well  nothing is paused, stuck or failed, and no job waits for what is not here", style="green")
    *others, (failed, number) = seen["jobs"].items()
    now = ", ".join(f"{count} {name}" for name, count in others)
    out.print(f"jobs now  {now}, {number} of them {failed}", markup=False)
    out.print("ever      " + ", ".join(f"{count} {name}" for name, count in seen["totals"].items()), markup=False)
    out.print(_slots(seen["machines"]), markup=False)
    _show_history(seen["history"], behind=seen["history_behind"])
    _show_brokers(seen["brokers"])
    if seen["lanes"]:
        print_table(
            ("LANE", "POOL", "WAITING", "UNFINISHED", "FOR"),
            ((lane["id"], lane["pool"], lane["waiting"], lane["live"], _needs(lane["key"])) for lane in seen["lanes"]),
        )
    if seen["machines"]:
        from northstar.surfaces.cli.machines import COLUMNS, machine_cells

        print_table(COLUMNS, map(machine_cells, seen["machines"]))


def _slots(machines: Sequence[dict[str, Any]]) -> str:
    if not machines:
        return "machines  none"
    busy, slots = sum(machine["busy"] for machine in machines), sum(machine["slots"] for machine in machines)
    out = sum(machine["status"] == "out_of_work" for machine in machines)
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


def _needs(lane_key: str) -> str:
    from northstar.domain.amounts import memory
    from northstar.domain.requirements import RequirementClass, read_anchor_names

    hard = msgspec.json.decode(lane_key, type=tuple[RequirementClass, list[Any]])[0]
    words = [hard.service, *read_anchor_names(lane_key), *hard.tags, *hard.node_packs]
    if hard.vram_mb:
        words.append(f"{memory(hard.vram_mb)} of VRAM")
    return ", ".join(words)
