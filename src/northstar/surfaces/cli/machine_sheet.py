"""`northstar machines show`: everything known of one machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from northstar.domain import amounts
from northstar.domain.amounts import memory
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, counted, harmless, moment, print_json, print_table

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.domain.machines import EngineDescription, Gpu, MachineProfile
    from northstar.store.machine_sheets import MachineSheet

Name = Annotated[str, typer.Argument(metavar="NAME")]


def show(
    name: Name,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show a machine: what it offers, its GPUs and engines, and the models that it holds or fetches."""
    sheet = run(_sheet(settings_of(config, data_dir, valkey, cell), name))
    if as_json:
        print_json(as_document(sheet))
    else:
        _show(sheet)


async def _sheet(settings: Settings, name: str) -> MachineSheet:
    from northstar.assembly.session import session
    from northstar.broker.absent_machines import not_here
    from northstar.domain.refusals import NoSuchMachine
    from northstar.store.machine_sheets import read_machine_sheet

    async with session(settings) as broker:
        try:
            return await read_machine_sheet(broker.cell.client, broker.cell.keys, name)
        except NoSuchMachine as exc:
            raise await not_here(broker.cell, name) or exc from None


def as_document(sheet: MachineSheet) -> dict[str, Any]:
    """The sheet as JSON, every key there even where its value is the usual one."""
    description = sheet.description
    models = [{"name": one.name, "state": one.state, "size_bytes": one.size_bytes} for one in sheet.held]
    said = msgspec.structs.asdict(description) | {
        "gpus": [msgspec.structs.asdict(gpu) for gpu in description.gpus],
        "engines": [msgspec.structs.asdict(engine) for engine in description.engines],
    }
    whole: dict[str, Any] = msgspec.structs.asdict(sheet)
    return whole | {"status": _status(sheet), "description": said, "held": models}


def _status(sheet: MachineSheet) -> str:
    from northstar.broker.machine_rows import status_of_sheet

    return status_of_sheet(sheet)


def _show(sheet: MachineSheet) -> None:
    out = console()
    for label, text in _lines(sheet):
        out.print(f"{label:<12}{harmless(text)}", markup=False)
    said = sheet.description
    if said.gpus:
        print_table(("GPU", "NAME", "MEMORY", "ID"), map(_gpu_cells, said.gpus))
    if said.engines:
        print_table(("SERVICE", "ENGINE", "VERSION", "NODE CLASSES", "MODELS"), map(_engine_cells, said.engines))
    if sheet.fetching:
        print_table(
            ("FETCHES", "SIZE", "SINCE", "EXPECTED"),
            (
                (one.model, size(one.size_bytes), moment(one.started_ms), moment(one.expected_ms))
                for one in sheet.fetching
            ),
        )
    if sheet.held:
        print_table(
            ("HOLDS", "WHERE", "SIZE"), ((one.name, _place(one.state), size(one.size_bytes)) for one in sheet.held)
        )
    if said.trouble:
        out.print(f"trouble     {harmless(said.trouble)}", style="yellow", markup=False)


def _lines(sheet: MachineSheet) -> Iterator[tuple[str, str]]:
    said = sheet.description
    yield "machine", f"{sheet.id}, {_status(sheet).replace('_', ' ')}, since {moment(sheet.registered_ms)}"
    waits = ", waits for work" if sheet.waits_for_work else ""
    yield "slots", f"{sheet.used} of {sheet.slots} busy{waits}"
    if sheet.vram_mb:
        yield "memory", f"{memory(sheet.vram_used_mb)} of {memory(sheet.vram_mb)} promised to jobs"
    if sheet.profile is None:
        yield "offers", "unknown: a newer version wrote it"
    else:
        yield from _offers(sheet.profile)
    if said.region:
        yield "region", said.region
    if said.price_usd_per_hour:
        yield "price", f"{said.price_usd_per_hour:.4g} USD an hour"
    if said.download_bytes_per_s:
        yield "link", f"{said.download_bytes_per_s / 1e6:.1f} MB/s down"
    if said.disk_bytes:
        yield "disk", f"{size(said.disk_bytes)} for models"
    if not said.keeps_models:
        yield "models", "keeps no models folder: nothing is fetched to it, its engines must have what jobs name"
    if said.driver:
        yield "driver", said.driver


def _offers(profile: MachineProfile) -> Iterator[tuple[str, str]]:
    yield "pools", " ".join(profile.pools)
    yield "services", " ".join(profile.services)
    if profile.tags:
        yield "tags", " ".join(profile.tags)
    if profile.dedicated_to:
        yield "only for", profile.dedicated_to
    if profile.node_packs:
        yield "node packs", f"{counted(len(profile.node_packs), 'pack')}: {' '.join(profile.node_packs)}"


def _gpu_cells(gpu: Gpu) -> tuple[object, ...]:
    return gpu.index, gpu.name or "-", memory(gpu.vram_mb) if gpu.vram_mb else "?", gpu.uuid or "-"


def _engine_cells(engine: EngineDescription) -> tuple[object, ...]:
    classes = f"{engine.node_classes} ({engine.node_classes_digest})" if engine.node_classes else "-"
    return engine.service, engine.kind or "unknown", engine.version or "-", classes, engine.models or "-"


def _place(state: str) -> str:
    return {"resident": "in memory", "disk": "on disk"}.get(state, state)


def size(size_bytes: int) -> str:
    """A size for people, "-" where it is not known.

    >>> size(6_900_000_000), size(0)
    ('6.9 GB', '-')
    """
    return amounts.size(size_bytes) if size_bytes else "-"
