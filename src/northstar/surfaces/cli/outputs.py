"""`northstar jobs outputs`: the files of a finished job, brought here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from northstar.domain.amounts import size
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import print_json, print_text

if TYPE_CHECKING:
    from northstar.broker.job_outputs import SavedOutput
    from northstar.config import Settings


def outputs(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to; made if missing. Default: ./ID.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Fetch the files of a job that succeeded from where outputs are kept. Each is verified; nothing is overwritten."""
    saved = run(_outputs(settings_of(config, data_dir, valkey, cell), job_id, out or Path(job_id)))
    if as_json:
        print_json({"job": job_id, "outputs": saved})
        return
    for output in saved:
        print_text(f"{output.path}  {size(output.size_bytes)}")


async def _outputs(settings: Settings, job_id: str, folder: Path) -> list[SavedOutput]:
    from northstar.assembly.outputs import asset_store
    from northstar.assembly.session import session
    from northstar.broker.job_outputs import save_outputs
    from northstar.broker.job_views import look_at
    from northstar.domain.refusals import NoSuchJob

    async with session(settings) as broker:
        found = await look_at(broker.cell, [job_id], results=True)
        if not found:
            raise NoSuchJob({"job": job_id})
        return await save_outputs(found[0], asset_store(broker.settings), folder)
