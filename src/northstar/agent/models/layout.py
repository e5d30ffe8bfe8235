"""Where everything lies: the models folder, its private part, and the folders beside it that are only read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from northstar.agent.models.errors import ModelNameRefused, ModelStoreUnavailable
from northstar.agent.models.files import Files
from northstar.domain.models import ModelKind, ModelOrder
from northstar.policy.models.folders import family_of, folder_for, kind_of
from northstar.policy.models.names import why_refused

PRIVATE: Final = ".northstar"
_ID_CHARS: Final = 32


class ModelKey(msgspec.Struct, frozen=True, order=True):
    """A model as an engine finds it: the family of folders that it looks through, and the name."""

    family: str
    name: str

    @property
    def kind(self) -> ModelKind:
        """What kind of model it is."""
        return kind_of(self.family)

    @property
    def id(self) -> str:
        """A name for files about it, of bounded length and without odd characters."""
        return hashlib.sha256(f"{self.family}\0{self.name}".encode(errors="surrogateescape")).hexdigest()[:_ID_CHARS]


class Layout:
    """The folders of one store."""

    def __init__(self, root: Path, *, extra_roots: tuple[Path, ...] = (), files: Files) -> None:
        """Make the folders that are missing.

        Raises:
            ModelStoreUnavailable: that fails.
        """
        self.files = files
        try:
            files.make_folder(root)
            self.root = root.resolve(strict=True)
            self.extra_roots = tuple(path.resolve() for path in extra_roots)
            self.private = self.root / PRIVATE
            for folder in (self.private, self.partial, self.locks, self.trash):
                if folder.is_symlink():
                    raise ModelStoreUnavailable(f"{folder} is a link")
                files.make_folder(folder)
        except OSError as error:
            raise ModelStoreUnavailable(f"{root}: {error.strerror or error}") from error

    @property
    def partial(self) -> Path:
        """Files that are not whole yet."""
        return self.private / "partial"

    @property
    def locks(self) -> Path:
        """One empty file for each model that is in use, fetched or evicted."""
        return self.private / "locks"

    @property
    def trash(self) -> Path:
        """What is being removed."""
        return self.private / "trash"

    @property
    def roots(self) -> tuple[Path, ...]:
        """All folders with models; files are written only below the first."""
        return (self.root, *self.extra_roots)

    def part(self, key: ModelKey) -> Path:
        """The unfinished file of a model."""
        return self.partial / f"{key.id}.part"

    def state(self, key: ModelKey) -> Path:
        """What is known about the unfinished file."""
        return self.partial / f"{key.id}.json"

    def lock(self, key: ModelKey) -> Path:
        """The lock of a model: shared while it is used, exclusive while it comes or goes."""
        return self.locks / f"{key.id}.lock"

    def place(self, path: Path) -> str:
        """What the journal calls a file, so that the whole folder can be moved."""
        if path.is_relative_to(self.root):
            return str(path.relative_to(self.root))
        return str(path)

    def target(self, order: ModelOrder) -> Path:
        """Where the ordered file goes.

        Raises:
            ModelNameRefused: its name, or a link on the way, would lead out of the folder.
        """
        if reason := why_refused(order.name):
            raise ModelNameRefused(order.name, reason=reason)
        path = self.root / folder_for(order.kind, wish=order.folder) / order.name
        if not path.parent.resolve().is_relative_to(self.root) or path.is_symlink():
            raise ModelNameRefused(order.name, reason=f"{path} is a link, or lies behind one")
        return path

    def is_inside(self, path: Path) -> bool:
        """Whether a file lies in one of the folders, links resolved."""
        found = Path(os.path.realpath(path))
        return any(found.is_relative_to(root) for root in self.roots)


def key_of(order: ModelOrder) -> ModelKey:
    """The key of an ordered model."""
    return ModelKey(family_of(folder_for(order.kind, wish=order.folder)), order.name)
