"""`northstar models add` and `import`: what an operator says of models."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from northstar.domain.amounts import exactly
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, me, run, settings_of
from northstar.surfaces.cli.printing import console, counted, print_hint, print_json, print_table
from northstar.surfaces.cli.reading import shown_while_reading

if TYPE_CHECKING:
    from northstar.broker.catalogue import Said
    from northstar.config import Settings
    from northstar.domain.catalogue import CatalogueModel
    from northstar.policy.models.model_lists import ReadList

_CHANGES: Final = {"new": "added", "version": "new version", "changed": "changed", "same": "was known just so"}


Place = Annotated[
    str, typer.Argument(metavar="URL|FILE", help="https, hf, civitai, s3 or file, or a file of this machine.")
]
Name = Annotated[str, typer.Option("--name", help="What jobs and engines call it. Default: the file's own name.")]
Kind = Annotated[
    str, typer.Option("--kind", help="checkpoint, lora, vae, llm, … Default: by the folders in the address.")
]
Folder = Annotated[str, typer.Option("--folder", help="Below the models folder. Default: the usual one of its kind.")]
Version = Annotated[str, typer.Option("--version", help="Which version of it this is; it becomes current.")]
MoreSources = Annotated[
    list[str] | None, typer.Option("--source", metavar="URL", help="Where else it can be had, again for more.")
]
Hash = Annotated[str, typer.Option("--hash", metavar="SHA256", help="What the file must be. Default: unknown.")]
Size = Annotated[int, typer.Option("--size", metavar="BYTES", min=0, help="0: not known.")]
Download = Annotated[
    bool, typer.Option("--download", help="Read all of it once, to know its hash and size; nothing is kept.")
]
Aliases = Annotated[list[str] | None, typer.Option("--alias", help="Another name, again for more.")]
Vram = Annotated[int, typer.Option("--vram", metavar="MB", min=0, help="Memory of a run. 0: estimated.")]
Makes = Annotated[
    list[str] | None, typer.Option("--makes", help="text, image, video, audio, 3d, embedding; again for more.")
]
Speciality = Annotated[str, typer.Option("--speciality", help="photography, art, product or multi-modal.")]
Experimental = Annotated[bool, typer.Option("--experimental", help="Failures are expected of it.")]
Tenants = Annotated[
    list[str] | None, typer.Option("--tenant", help="Only jobs of this tenant may use it, again for more.")
]
Replace = Annotated[bool, typer.Option("--replace", help="Also where a version says something else by now.")]


def add(
    place: Place,
    name: Name = "",
    kind: Kind = "",
    folder: Folder = "",
    version: Version = "1",
    sources: MoreSources = None,
    sha256: Hash = "",
    size_bytes: Size = 0,
    download: Download = False,
    aliases: Aliases = None,
    vram_mb: Vram = 0,
    makes: Makes = None,
    speciality: Speciality = "",
    experimental: Experimental = False,
    tenants: Tenants = None,
    replace: Replace = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Declare a model, so that jobs only need to name it.

    A file of this machine is hashed; machines fetch it from --source, or else from its path, if that is theirs too. Of an address
    nothing is read unless --download says so.
    """
    settings = settings_of(config, data_dir, valkey, cell)
    path = None if "://" in place else Path(place).expanduser().resolve()
    said = _where(place, path, name, sources or []) | {
        "version": version,
        "folder": folder,
        "sha256": sha256.lower() or "unknown",
        "size_bytes": size_bytes,
        "aliases": aliases or [],
        "vram_mb": vram_mb,
        "modalities": makes or [],
        "experimental": experimental,
        "tenants": tenants or [],
    }
    said |= {key: word for key, word in (("kind", kind), ("speciality", speciality)) if word}
    model = _model(said, place)  # before anything is read
    if path is not None or download:
        model = _model(said | run(_read(settings, place, path, said)), place)
    (done,) = run(_say(settings, [model], replace=replace))
    _tell(done, model, is_local=path is not None and not sources, as_json=as_json)


def _where(place: str, path: Path | None, name: str, sources: list[str]) -> dict[str, Any]:
    """Name and sources. A file of this machine is its own source only where no other is named."""
    from northstar.policy.models.catalogue_rules import name_of

    if path is None:
        return {"name": name or name_of(place), "sources": [place, *sources]}
    return {"name": name or path.name, "sources": sources or [path.as_uri()]}


def _model(said: dict[str, Any], place: str) -> CatalogueModel:
    """What was said as a model. Raises CatalogueEntryInvalid."""
    import msgspec

    from northstar.broker.catalogue_errors import CatalogueEntryInvalid
    from northstar.domain.misfits import misfit_told
    from northstar.policy.models.addresses import shown
    from northstar.policy.models.manifest import ManifestModel

    name = said["name"]
    if not name:
        raise CatalogueEntryInvalid(shown(place), reason="its address tells no name; say --name")
    try:
        return msgspec.convert(said, ManifestModel).model()
    except msgspec.ValidationError as exc:
        raise CatalogueEntryInvalid(name, reason=misfit_told(exc, ManifestModel)) from exc
    except ValueError as exc:
        raise CatalogueEntryInvalid(name, reason=str(exc)) from exc


async def _read(settings: Settings, place: str, path: Path | None, said: dict[str, Any]) -> dict[str, Any]:
    """Hash and size of the file. Raises CatalogueEntryInvalid when it is not what was said of it."""
    from northstar.assembly.model_files import read_file, read_source
    from northstar.broker.catalogue_errors import CatalogueEntryInvalid

    with shown_while_reading(said["name"]) as on_bytes:
        if path is not None:
            found = await read_file(path, on_bytes=on_bytes)
        else:
            found = await read_source(place, model=said["name"], settings=settings.models, on_bytes=on_bytes)
    if said["sha256"] not in {"unknown", found.sha256}:
        raise CatalogueEntryInvalid(said["name"], reason=f"its hash is {found.sha256}, not the one that was said")
    if said["size_bytes"] not in {0, found.size_bytes}:
        raise CatalogueEntryInvalid(
            said["name"], reason=f"it has {exactly(found.size_bytes)}, not {exactly(said['size_bytes'])}"
        )
    return {"sha256": found.sha256, "size_bytes": found.size_bytes}


async def _say(settings: Settings, models: list[CatalogueModel], *, replace: bool) -> list[Said]:
    from northstar.assembly.session import session
    from northstar.broker.catalogue import say

    async with session(settings) as broker:
        return await say(broker.cell, models, by=me(), replace=replace)


def _tell(done: Said, model: CatalogueModel, *, is_local: bool, as_json: bool) -> None:
    from northstar.policy.models.vram import vram_mb_of

    (version,) = model.versions
    (file,) = version.files
    if as_json:
        facts = {"kind": file.kind, "sha256": file.sha256, "size_bytes": file.size_bytes, "sources": file.sources}
        print_json(
            {
                "model": done.name,
                "version": version.version,
                "change": done.change,
                **facts,
                "vram_mb": vram_mb_of(version),
            }
        )
        return
    out = console()
    out.print(f"{done.name}  version {version.version} {_CHANGES[done.change]}", markup=False)
    if file.sha256 == "unknown":
        hint = "its hash is unknown: machines take whatever its address sends; --hash says what it must be, --download finds out"
        out.print(hint, style="yellow", markup=False)
    if not file.size_bytes:
        hint = (
            "its size is unknown, so neither its memory nor the time to fetch it can be estimated: --size or --download"
        )
        out.print(hint, style="yellow", markup=False)
    if is_local:
        hint = f"machines fetch it from {file.sources[0]}: those on which this path lies in models.source_folders; --source names another place"
        out.print(hint, style="yellow", markup=False)
    print_hint(f"next: northstar machines fetch MACHINE {shlex.quote(done.name)}, or a job that names it")


def import_(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="TOML or JSON; also a graph as ComfyUI saves it.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what the file holds.")] = False,
    replace: Replace = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Declare all models of a file: a manifest, the list that a saved ComfyUI graph carries, or a manifest of comfyui-api."""
    from northstar.broker.manifests import read_manifest

    settings = settings_of(config, data_dir, valkey, cell)
    found = read_manifest(_bytes_of(manifest), source=str(manifest))
    done = [] if dry_run or not found.models else run(_say(settings, list(found.models), replace=replace))
    if as_json:
        changes = {one.name: one.change for one in done}
        rows = [
            {"model": one.name, "version": one.current, "change": changes.get(one.name, "")} for one in found.models
        ]
        left = [{"name": one.name, "reason": one.reason} for one in found.left_out]
        print_json({"models": rows, "left_out": left})
        return
    _tell_all(found, done, dry_run=dry_run)


def _bytes_of(manifest: Path) -> bytes:
    from northstar.broker.manifests import MAX_MANIFEST_BYTES, ManifestInvalid

    try:
        with manifest.open("rb") as stream:
            return stream.read(MAX_MANIFEST_BYTES + 1)
    except OSError as exc:
        raise ManifestInvalid(str(manifest), reason=f"it cannot be read: {exc.strerror}") from exc


def _tell_all(found: ReadList, done: list[Said], *, dry_run: bool) -> None:
    out = console()
    changes = {one.name: _CHANGES[one.change] for one in done}
    if found.models:
        rows = (
            (one.name, one.current, one.versions[0].files[0].kind, changes.get(one.name, "-")) for one in found.models
        )
        print_table(("MODEL", "VERSION", "KIND", "NOW"), rows)
    if found.left_out:
        print_table(("LEFT OUT", "BECAUSE"), ((one.name, one.reason) for one in found.left_out))
    if not found.models:
        out.print("the file names no model that could be declared", style="yellow", markup=False)
    elif dry_run:
        out.print(f"{counted(len(found.models), 'model')}; nothing was declared (--dry-run)", style="dim", markup=False)
    else:
        unknown = sum(
            file.sha256 == "unknown" for one in found.models for version in one.versions for file in version.files
        )
        if unknown:
            hint = f"of {counted(unknown, 'file')} the hash is unknown: machines take whatever the address sends"
            out.print(hint, style="yellow", markup=False)
        print_hint("next: northstar models list")
