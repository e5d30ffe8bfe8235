"""`northstar backup`: everything that an installation needs to come back, as one file."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, counted, moment, print_hint, print_json

if TYPE_CHECKING:
    from northstar.assembly.backups.backup import BackUp
    from northstar.config import Settings
    from northstar.domain.archives import Manifest

#: In place of the address, which may hold a password.
_PG_DUMP: Final = "pg_dump --format=custom --file=northstar-history.dump"


def backup(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="The new file, or a folder in which one named after cell and time is made."
        ),
    ],
    outputs: Annotated[
        bool, typer.Option("--outputs", help="With the files of finished jobs too; only where they are in a folder.")
    ] = False,
    without_history: Annotated[
        bool, typer.Option("--without-history", help="Leave the history out, for one that is kept safe in another way.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Write a backup: the cell as it is at one moment, its history up to then, and the settings; while everything runs, or while nothing does.

    A history in PostgreSQL is not in it: it is named, with the command that copies it. Only its owner may read the file.
    """
    settings = settings_of(config, data_dir, valkey, cell)
    from northstar.assembly.backups.backup import back_up
    from northstar.assembly.session import new_id

    made = run(
        back_up(
            settings,
            _file_at(path, settings),
            outputs=outputs,
            history=not without_history,
            files=tuple(_settings_files(settings, config)),
            new_id=new_id,
        )
    )
    if as_json:
        print_json(as_document(made))
    else:
        _show(made)


def _file_at(path: Path, settings: Settings) -> Path:
    if not path.is_dir():
        return path
    return path / f"northstar-{settings.cell_name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip"


def _settings_files(settings: Settings, config: Path | None) -> list[Path]:
    from northstar.config import file_in_force

    pools = Path(settings.routing.pools_file) if settings.routing.pools_file else None
    return [file for file in (file_in_force(os.environ, config), pools) if file is not None and file.is_file()]


def as_document(made: BackUp) -> dict[str, Any]:
    """As JSON has it: what is in the archive, without its list of parts."""
    told: dict[str, Any] = msgspec.to_builtins(made.manifest)
    del told["parts"]
    return {"path": str(made.path), "size_bytes": made.size_bytes, "outputs_gone": made.outputs_gone} | told


def contents(manifest: Manifest) -> list[str]:
    """What is in an archive, in sentences."""
    from northstar.domain.amounts import size

    cell, history, kept = manifest.cell, manifest.history, manifest.outputs
    jobs = counted(cell.entries.get("jobs", 0), "job")
    lines = [f"cell      {cell.name} of {moment(cell.at_ms)}, {jobs}: {cell.waiting} waiting, {cell.running} running"]
    match history.kind:
        case "file":
            lines.append(f"history   up to event {cell.event or 'none'}, revision {history.revision}")
        case "elsewhere":
            lines.append(f"history   NOT in it: {history.place}")
        case "none":
            lines.append("history   there was none yet")
    if kept.included:
        lines.append(f"outputs   {counted(kept.files, 'file')}, {size(kept.size_bytes)}")
    else:
        lines.append(f"outputs   NOT in it: {kept.place}")
    return lines


def _show(made: BackUp) -> None:
    from northstar.domain.amounts import size

    out = console()
    out.print(f"backed up to {made.path}, {size(made.size_bytes)}", style="bold", markup=False, soft_wrap=True)
    for line in contents(made.manifest):
        out.print(f"  {line}", markup=False, soft_wrap=True)
    if made.outputs_gone:
        gone = counted(made.outputs_gone, "file")
        out.print(f"  {gone} of finished jobs went meanwhile, as their time was over", markup=False)
    if made.manifest.history.kind == "elsewhere" and made.manifest.history.place.startswith("postgresql"):
        place = made.manifest.history.place.replace("postgresql+psycopg", "postgresql")
        print_hint(f"next: {_PG_DUMP} '{place}'")
