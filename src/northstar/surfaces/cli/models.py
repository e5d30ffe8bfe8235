"""`northstar models`: the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from northstar.domain.amounts import memory
from northstar.surfaces.cli.machine_sheet import size
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, confirm, me, run, settings_of
from northstar.surfaces.cli.printing import console, counted, harmless, moment, print_hint, print_json, print_table

if TYPE_CHECKING:
    from northstar.broker.catalogue import Entry
    from northstar.config import Settings
    from northstar.domain.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion
    from northstar.policy.models.catalogue_index import Found

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name, alias or file; NAME@VERSION for one version.")]

COLUMNS: Final = ("MODEL", "CURRENT", "VERSIONS", "KIND", "FILES", "SIZE", "VRAM", "HASH", "ALIASES", "FOR")
FILE_COLUMNS: Final = ("VERSION", "FILE", "KIND", "SIZE", "SHA-256", "FROM")


def list_(
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List the models of the catalogue, each with its current version."""
    entries = run(_list(settings_of(config, data_dir, valkey, cell)))
    if as_json:
        from northstar.broker.model_rows import row_of

        print_json({"models": [row_of(entry) for entry in entries]})
        return
    print_table(COLUMNS, map(model_cells, entries))
    if not entries:
        print_hint("none yet; northstar models add URL, or northstar models import FILE")


def model_cells(entry: Entry) -> tuple[object, ...]:
    """A model's row of the table."""
    from northstar.policy.models.vram import vram_mb_of

    model = entry.model
    current = model.current_version
    kinds = " ".join(dict.fromkeys(file.kind for file in current.files))
    hashes = "known" if all(file.sha256 != "unknown" for file in current.files) else "unknown"
    needed = vram_mb_of(current)
    sizes = (len(current.files), size(current.size_bytes), memory(needed) if needed else "-", hashes)
    words = (" ".join(model.aliases) or "-", " ".join(model.tenants) or "all")
    return model.name, model.current, len(model.versions), kinds, *sizes, *words


async def _list(settings: Settings) -> list[Entry]:
    from northstar.assembly.session import session
    from northstar.broker.catalogue import read_catalogue

    async with session(settings) as broker:
        return list((await read_catalogue(broker.cell)).values())


def show(
    name: Name,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show a model: its versions, files and sources, and the machines that hold it."""
    found, entry, holders = run(_show(settings_of(config, data_dir, valkey, cell), name))
    if as_json:
        from northstar.broker.model_rows import row_of, sheet_of

        print_json(sheet_of(row_of(entry), holders))
        return
    out = console()
    for label, text in _lines(found, entry, holders):
        out.print(f"{label:<12}{harmless(text)}", markup=False)
    rows = ((version, file) for version in entry.model.versions for file in version.files)
    print_table(FILE_COLUMNS, (file_cells(version, file) for version, file in rows))


def file_cells(version: CatalogueVersion, file: CatalogueFile) -> tuple[object, ...]:
    """A file's row of the table. Addresses of the catalogue hold no secrets."""
    return version.version, file.name, file.kind, size(file.size_bytes), file.sha256, " ".join(file.sources) or "-"


def _lines(found: Found, entry: Entry, holders: dict[str, dict[str, str]]) -> Iterator[tuple[str, str]]:
    from northstar.policy.models.vram import vram_mb_of

    model = entry.model
    yield "model", f"{model.name}, version {model.current}; changed by {entry.by}, {moment(entry.at_ms)}"
    if found.by != "name":
        yield "found by", f"{found.by} of version {found.version.version}"
    if model.aliases:
        yield "aliases", " ".join(model.aliases)
    for version in model.versions:
        needed = vram_mb_of(version)
        how = "as declared" if version.vram_mb else "estimated from its files"
        yield (
            "memory",
            f"{version.version}: " + (f"{memory(needed)}, {how}" if needed else "unknown, for want of sizes"),
        )
    makes = [*model.modalities, *((model.speciality,) if model.speciality else ())]
    if makes:
        yield "makes", " ".join(makes)
    if model.experimental:
        yield "state", "experimental"
    yield "for", " ".join(model.tenants) or "all tenants"
    for file, machines in holders.items():
        yield "held by", f"{file}: " + (", ".join(f"{name} ({state})" for name, state in machines.items()) or "nobody")


async def _show(settings: Settings, name: str) -> tuple[Found, Entry, dict[str, dict[str, str]]]:
    """What was found, and for each of its files which machines hold it, and where."""
    from northstar.assembly.session import session
    from northstar.broker.catalogue import look_up
    from northstar.broker.model_rows import holders_of
    from northstar.store.snapshots import read_snapshot

    async with session(settings) as broker:
        found, entry = await look_up(broker.cell, name)
        view = await read_snapshot(broker.cell.client, broker.cell.keys)
    return found, entry, holders_of(found, view)


def remove(
    name: Name,
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Take a model, or one version of it, out of the catalogue. Machines keep the files that they have, and jobs that wait what they were given."""
    from northstar.broker.catalogue import version_to_forget

    settings = settings_of(config, data_dir, valkey, cell)
    found, entry, holders = run(_show(settings, name))
    version = version_to_forget(found, name)
    what = f"version {version} of {entry.model.name}" if version else entry.model.name
    held = {machine for machines in holders.values() for machine in machines}
    plan = f"{what} goes out of the catalogue; machines that hold it keep their files ({counted(len(held), 'machine')} now)"
    confirm(plan, yes=yes, as_json=as_json)
    left = run(_remove(settings, entry, version))
    if as_json:
        print_json(
            {
                "model": entry.model.name,
                "version": version,
                "left": [one.version for one in left.versions] if left else [],
            }
        )
    else:
        now = f"; current is version {left.current}" if left else ""
        console().print(f"{entry.model.name}  {f'version {version} ' if version else ''}removed{now}", markup=False)


async def _remove(settings: Settings, entry: Entry, version: str) -> CatalogueModel | None:
    from northstar.assembly.session import session
    from northstar.broker.catalogue import forget

    async with session(settings) as broker:
        return await forget(broker.cell, entry, version=version, by=me())
