"""`northstar export`: the attempts of the history as a file for simulators and spreadsheets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from northstar.domain.amounts import size
from northstar.surfaces.cli.moments import Since, Until, within
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, confirm, run, settings_of
from northstar.surfaces.cli.printing import counted, print_json, print_text

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.store.history import AttemptFilter, AttemptReader


def export(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file; it appears once it is whole.")],
    since: Since = None,
    until: Until = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Only this tenant's.")] = None,
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Write every attempt of a time into a CSV file, earliest first; `docs/reference/history-csv.md` names its columns.

    An export that was broken off leaves nothing; begin it again. Text that a spreadsheet would run as a formula has an
    apostrophe before it.
    """
    if out.exists():
        confirm(f"{out} is there and is replaced", yes=yes, as_json=as_json)
    settings = settings_of(config, data_dir, valkey, cell)
    rows, size_bytes = run(_export(settings, out, since=since, until=until, tenant=tenant))
    if as_json:
        print_json({"file": str(out), "attempts": rows, "bytes": size_bytes})
    else:
        print_text(f"{out}  {counted(rows, 'attempt')}, {size(size_bytes)}")


async def _export(
    settings: Settings, out: Path, *, since: str | None, until: str | None, tenant: str | None
) -> tuple[int, int]:
    from northstar.assembly.job_past import history_of
    from northstar.assembly.session import session
    from northstar.store.history import AttemptFilter, AttemptReader

    async with session(settings) as broker:
        now_ms = (await broker.cell.inspect(())).now_ms
        since_ms, until_ms = within(since, until, now_ms=now_ms)
        # What ends while the file is written belongs to the next one.
        wanted = AttemptFilter(tenant=tenant, since_ms=since_ms, until_ms=now_ms if until_ms is None else until_ms)
        async with history_of(broker) as database:
            return await write_csv(AttemptReader(database, cell=broker.cell.name), wanted, out)


async def write_csv(reader: AttemptReader, wanted: AttemptFilter, out: Path) -> tuple[int, int]:
    """Write the file, a page of rows in memory at a time; gives rows and bytes. Raises FileUnwritable, Unavailable."""
    from northstar.surfaces.attempt_csv import header, lines
    from northstar.surfaces.cli.new_file import NewFile

    rows, after = 0, ""
    with NewFile(out) as file:
        file.write(header())
        while True:
            page = await reader.earliest(wanted, after=after)
            file.write(lines(page.attempts))
            rows, after = rows + len(page.attempts), page.after
            if not after:
                break
    return rows, file.size_bytes
