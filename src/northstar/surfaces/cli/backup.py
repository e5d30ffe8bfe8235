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
    if config is None and (of_up := _file_of_up(settings)) is not None:
        config = of_up
        settings = settings_of(config, data_dir, valkey, cell)
    from northstar.assembly.backups.backup import back_up
    from northstar.assembly.session import new_id

    files, missing = _settings_files(settings, config)
    made = run(
        back_up(
            settings,
            _file_at(path, settings),
            outputs=outputs,
            history=not without_history,
            files=tuple(files),
            new_id=new_id,
        )
    )
    if as_json:
        print_json(as_document(made) | {"settings": {"files": [str(file) for file in files], "missing": missing}})
    else:
        _show(made, files, missing)


def _file_at(path: Path, settings: Settings) -> Path:
    if not path.is_dir():
        return path
    return path / f"northstar-{settings.cell_name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip"


def _file_of_up(settings: Settings) -> Path | None:
    """The file of settings of the `up` that runs on the data directory, by whatever settings this command was started."""
    from northstar.assembly.run_file import NotRunning, read_run_file

    if settings.valkey.url:  # it is another cell, or another server, that is meant
        return None
    try:
        said = read_run_file(settings.data_path).settings_file
    except NotRunning:
        return None
    return Path(said) if said and Path(said).is_file() else None


def _settings_files(settings: Settings, config: Path | None) -> tuple[list[Path], list[str]]:
    """The files of settings that go along, and what of the settings is in none of them, in sentences."""
    from northstar.config import file_in_force, variables

    file = file_in_force(os.environ, config)
    pools = Path(settings.routing.pools_file) if settings.routing.pools_file else None
    missing = []
    if file is None:
        missing.append("no file of settings is known here; where a broker runs by one, name it with --config FILE")
    missing += [f"{one} is not there" for one in (file, pools) if one is not None and not one.is_file()]
    said = sorted(name for name in variables() if name in os.environ)
    if said:
        missing.append(f"what the environment says: {', '.join(said)}")
    return [one for one in (file, pools) if one is not None and one.is_file()], missing


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


def _show(made: BackUp, files: list[Path], missing: list[str]) -> None:
    from northstar.domain.amounts import size

    out = console()
    out.print(f"backed up to {made.path}, {size(made.size_bytes)}", style="bold", markup=False, soft_wrap=True)
    for line in contents(made.manifest):
        out.print(f"  {line}", markup=False, soft_wrap=True)
    if files:
        out.print(f"  settings  {', '.join(map(str, files))}", markup=False, soft_wrap=True)
    for what in missing:
        out.print(f"  settings  NOT in it: {what}", style="yellow", markup=False, soft_wrap=True)
    if made.outputs_gone:
        gone = counted(made.outputs_gone, "file")
        out.print(f"  {gone} of finished jobs went meanwhile, as their time was over", markup=False)
    if made.manifest.history.kind == "elsewhere" and made.manifest.history.place.startswith("postgresql"):
        place = made.manifest.history.place.replace("postgresql+psycopg", "postgresql")
        print_hint(f"next: {_PG_DUMP} '{place}'")
