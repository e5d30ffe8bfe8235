"""What a model of the catalogue becomes when more is said of it, or a version of it goes."""

from __future__ import annotations

from typing import Literal

import msgspec

from northstar.domain.catalogue import CatalogueModel

#: What saying something has changed: the model is new, has a new version, says something else, or was known just so.
Change = Literal["new", "version", "changed", "same"]


class Clash(ValueError):
    """A version is known already and says something else."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(f"{model} has a version {version} already, which says something else")
        self.model = model
        self.version = version


def merged(known: CatalogueModel | None, said: CatalogueModel, *, replace: bool) -> tuple[CatalogueModel, Change]:
    """The model with what is said of it now: its versions beside those that are known, and whatever else is not left unsaid.

    `said.current` becomes the current version. With `replace`, a version that is known is as it is said now.

    Raises:
        Clash: it is known, says something else, and is not to be replaced.
        ValueError: there would be more versions than a model may have.
    """
    if known is None:
        return said, "new"
    versions = {version.version: version for version in known.versions}
    change: Change = "same"
    for version in said.versions:
        before = versions.get(version.version)
        if before is None:
            change = "version"
        elif before != version:
            if not replace:
                raise Clash(known.name, version.version)
            change = "changed" if change == "same" else change
        versions[version.version] = version
    result = msgspec.structs.replace(
        known,
        versions=tuple(versions.values()),
        current=said.current,
        aliases=tuple(dict.fromkeys((*known.aliases, *said.aliases))),
        modalities=said.modalities or known.modalities,
        speciality=said.speciality or known.speciality,
        experimental=said.experimental or known.experimental,
        tenants=said.tenants or known.tenants,
    )
    # Structs made from others are not checked again; the bounds are those of whatever is read.
    result = msgspec.convert(msgspec.to_builtins(result), CatalogueModel)
    return result, "changed" if change == "same" and result != known else change


def without_version(known: CatalogueModel, version: str) -> CatalogueModel | None:
    """The model without one of its versions; None if nothing is left. The latest of the others becomes current where that one was."""
    left = tuple(one for one in known.versions if one.version != version)
    if not left:
        return None
    current = left[-1].version if known.current == version else known.current
    return msgspec.structs.replace(known, versions=left, current=current)
