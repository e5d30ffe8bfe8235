"""`northstar export`: the history as a file, by attempts for spreadsheets or by jobs for simulations."""

from __future__ import annotations

import enum
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


class Purpose(enum.StrEnum):
    """What the file is for."""

    ANALYSIS = "analysis"
    SIMULATION = "simulation"


def export(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file; it appears once it is whole.")],
    purpose: Annotated[
        Purpose,
        typer.Option(
            "--for",
            help="analysis: every attempt, as docs/reference/history-csv.md has it; simulation: every job, as docs/reference/trace-csv.md has it.",
        ),
    ] = Purpose.ANALYSIS,
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
    """Write what ran in a time into a CSV file: every attempt by its end, or every job by its submission.

    An export that was broken off leaves nothing; begin it again. Text that a spreadsheet would run as a formula has an
    apostrophe before it. Neither form has payloads, results or addresses in it.
    """
    if out.exists():
        confirm(f"{out} is there and is replaced", yes=yes, as_json=as_json)
    settings = settings_of(config, data_dir, valkey, cell)
    rows, size_bytes = run(_export(settings, out, purpose, since=since, until=until, tenant=tenant))
    what = "attempt" if purpose is Purpose.ANALYSIS else "job"
    if as_json:
        print_json({"file": str(out), f"{what}s": rows, "bytes": size_bytes})
    else:
        print_text(f"{out}  {counted(rows, what)}, {size(size_bytes)}")


async def _export(
    settings: Settings, out: Path, purpose: Purpose, *, since: str | None, until: str | None, tenant: str | None
) -> tuple[int, int]:
    from northstar.assembly.job_past import history_of
    from northstar.assembly.session import session
    from northstar.store.history import AttemptFilter, AttemptReader

    write = write_csv if purpose is Purpose.ANALYSIS else write_trace
    async with session(settings) as broker:
        now_ms = (await broker.cell.inspect(())).now_ms
        since_ms, until_ms = within(since, until, now_ms=now_ms)
        # What ends while the file is written belongs to the next one.
        wanted = AttemptFilter(tenant=tenant, since_ms=since_ms, until_ms=now_ms if until_ms is None else until_ms)
        async with history_of(broker) as database:
            return await write(AttemptReader(database, cell=broker.cell.name), wanted, out)


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


async def write_trace(reader: AttemptReader, wanted: AttemptFilter, out: Path) -> tuple[int, int]:
    """Write a line for each job by its last run, in the order of submission; gives rows and bytes. Raises FileUnwritable, Unavailable."""
    from northstar.surfaces.cli.new_file import FileUnwritable, NewFile
    from northstar.surfaces.cli.sorted_rows import SortedRows
    from northstar.surfaces.trace_csv import header, line, traced

    rows, after = 0, ""
    with NewFile(out) as file, SortedRows(out.parent) as jobs:
        try:
            while True:
                page = await reader.earliest(wanted, after=after)
                for one in page.attempts:
                    told = traced(one)
                    jobs.add((round(told.submitted_s * 1_000), one.job_id, one.claim, line(told)))
                after = page.after
                if not after:
                    break
            file.write(header())
            for row in jobs.latest():
                file.write(row[3])
                rows += 1
        except OSError as exc:
            raise FileUnwritable(out, exc) from exc
    return rows, file.size_bytes
