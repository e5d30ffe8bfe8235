"""`northstar restore`: an installation out of its backup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, confirm, run, settings_of
from northstar.surfaces.cli.printing import console, counted, print_hint, print_json

if TYPE_CHECKING:
    from northstar.assembly.backups.restore import Restored
    from northstar.config import Settings
    from northstar.domain.archives import Manifest


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `northstar backup` wrote.")],
    replace: Annotated[
        bool,
        typer.Option(
            "--yes-replace-everything",
            help="Remove the cell, and the history where the backup has one, that are in its place; nothing of them is left.",
        ),
    ] = False,
    without_history: Annotated[
        bool, typer.Option("--without-history", help="Leave the history of the backup out; what is in its place stays.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Restore a backup into the data directory, or into the server that --valkey names, while no broker of the cell runs.

    All of the file is verified before anything is changed. Jobs that ran then go back to the front of the queue, and no machine of then can
    end them: each registers anew. May be run again when it was interrupted.
    """
    settings = settings_of(config, data_dir, valkey, cell)
    from northstar.assembly.backups.restore import restore as restore_there
    from northstar.assembly.session import new_id

    def agree(manifest: Manifest) -> None:
        if not (yes or as_json):
            _tell_plan(file, manifest)
        confirm(_plan(file, settings, replace=replace), yes=yes or replace, as_json=as_json)

    done = run(restore_there(settings, file, replace=replace, history=not without_history, agree=agree, new_id=new_id))
    if as_json:
        print_json(as_document(done))
    else:
        _show(done, start="northstar serve" if settings.valkey.url else "northstar up")


def _plan(file: Path, settings: Settings, *, replace: bool) -> str:
    from northstar.store.valkey import redact

    place = redact(settings.valkey.url) if settings.valkey.url else f"data directory {settings.data_path}"
    lost = ", and nothing is left of what is there" if replace else ""
    return f"{file} is restored to {place}{lost}"


def _tell_plan(file: Path, manifest: Manifest) -> None:
    from northstar.surfaces.cli.backup import contents

    out = console()
    out.print(f"{file} is whole, written by North Star {manifest.northstar}", markup=False, soft_wrap=True)
    for line in contents(manifest):
        out.print(f"  {line}", markup=False, soft_wrap=True)


def as_document(done: Restored) -> dict[str, Any]:
    """As JSON has it."""
    told: dict[str, Any] = msgspec.to_builtins(done.manifest)
    del told["parts"]
    return {
        "epoch_now": done.epoch,
        "outputs_written": done.outputs,
        "outputs_were_at": done.outputs_were_at,
        "settings_in": None if done.settings_in is None else str(done.settings_in),
    } | told


def _show(done: Restored, *, start: str) -> None:
    out, manifest = console(), done.manifest
    jobs = counted(manifest.cell.entries.get("jobs", 0), "job")
    out.print(f"restored cell {manifest.cell.name} with {jobs}, epoch {done.epoch}", style="bold", markup=False)
    if manifest.cell.running:
        ran = counted(manifest.cell.running, "job")
        out.print(f"  {ran} that ran then wait at the front again; machines of then must register anew", markup=False)
    if manifest.history.kind == "elsewhere":
        out.print(
            f"  the history is not in the backup; it was at {manifest.history.place}", markup=False, soft_wrap=True
        )
    if manifest.outputs.included:
        out.print(f"  {counted(done.outputs, 'file')} of finished jobs written", markup=False)
    if done.outputs_were_at:
        out.print(
            f"  results name their files below {done.outputs_were_at}: set assets.url to that, or they are not found",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    if done.settings_in is not None:
        out.print(
            f"  settings of then are in {done.settings_in}; none of them is in force by itself",
            markup=False,
            soft_wrap=True,
        )
    print_hint(f"next: {start}")
