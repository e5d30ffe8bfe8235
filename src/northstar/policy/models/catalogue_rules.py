"""What a model must be like to stand in the catalogue, beyond its fields: its files could be fetched, and it gives no secret away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import msgspec

from northstar.domain.amounts import exactly
from northstar.policy.models.addresses import secret_in, shown
from northstar.policy.models.folders import kind_of
from northstar.policy.models.names import why_refused
from northstar.policy.models.sources import Endpoints, address_of

if TYPE_CHECKING:
    from northstar.domain.catalogue import CatalogueFile, CatalogueModel
    from northstar.domain.models import ModelKind

#: Bytes of a name: it becomes part of words and of fields in the cell.
_MOST_NAME_BYTES: Final = 400
#: Bytes of an order to fetch one file, as the cell takes it.
_MOST_ORDER_BYTES: Final = 8_192


def problem_of(model: CatalogueModel) -> str | None:
    """Why a model may not stand in the catalogue, as a sentence; None if it may. The text holds no secret."""
    for name in (model.name, *model.aliases):
        if len(name.encode(errors="replace")) > _MOST_NAME_BYTES:
            return f"the name {name[:80]!r} is longer than {_MOST_NAME_BYTES} bytes"
    if model.name in model.aliases or len(set(model.aliases)) < len(model.aliases):
        return f"an alias of {model.name!r} stands there twice, or is its name"
    for version in model.versions:
        if len({(file.name, file.kind) for file in version.files}) < len(version.files):
            return f"two files of version {version.version} have the same name and kind"
    files = (file for version in model.versions for file in version.files)
    return next((problem for file in files if (problem := _problem_of_file(file)) is not None), None)


def _problem_of_file(file: CatalogueFile) -> str | None:
    if not file.sources:
        return None
    if reason := why_refused(file.name):
        return f"no machine may keep a file called {file.name!r}: {reason}"
    for source in file.sources:
        if secret := secret_in(source):
            return (
                f"{shown(source)} holds {secret}, and the catalogue keeps no secrets: leave it out, and name the variable with the token in "
                "the machines' settings (models.tokens)"
            )
        try:
            address_of(source, endpoints=Endpoints())
        except ValueError as exc:
            return f"from {shown(source)} nothing can be fetched: {exc}"
    if (size := len(msgspec.json.encode(file.order()))) > _MOST_ORDER_BYTES:
        return f"the addresses of {file.name} are too long: an order to fetch it has {exactly(size)}, more than {exactly(_MOST_ORDER_BYTES)}"
    return None


def name_of(source: str) -> str:
    """What a file is called by its address: the last part of its path; empty where an address has none.

    >>> name_of("https://host/org/resolve/main/sd%20xl.safetensors?download=true"), name_of("civitai://128713")
    ('sd xl.safetensors', '')
    """
    return _parts(source)[-1] if _parts(source) else ""


def kind_by_address(source: str) -> ModelKind | None:
    """The kind of a file by the folders in its address, the last one that is known; None where none is.

    >>> kind_by_address("hf://Org/repo/split_files/text_encoders/t5.safetensors")
    'text_encoder'
    >>> kind_by_address("https://host/sdxl.safetensors") is None
    True
    """
    kinds = [kind for part in _parts(source)[:-1] if (kind := kind_of(part)) != "other"]
    return kinds[-1] if kinds else None


def _parts(source: str) -> list[str]:
    scheme, _, rest = source.partition("://")
    if scheme == "civitai":
        return []
    _, _, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return [unquote(part) for part in path.split("/") if part]
