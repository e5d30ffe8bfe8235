"""What is there: every model file below the roots, by the key that an engine finds it by."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import msgspec

from northstar.agent.models.files import FileFacts, facts_of
from northstar.agent.models.journal import Journal, Known
from northstar.agent.models.layout import Layout, ModelKey
from northstar.agent.models.verify import IsPickle, check_format
from northstar.policy.models.folders import family_of
from northstar.policy.models.names import PICKLES, PLAIN, suffix_of

MAX_FILES: Final = 50_000
MAX_PROBLEMS: Final = 1_000
_MAX_DEPTH: Final = 6


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A model file that is whole and may be loaded. Without `known` its hash is not there yet."""

    key: ModelKey
    path: Path
    place: str
    facts: FileFacts
    #: Whether it lies below the root that the store may change.
    is_ours_to_change: bool
    known: Known | None = None

    @property
    def sha256(self) -> str | None:
        """Its hash, once it is known."""
        return self.known.sha256 if self.known else None

    def is_unchanged(self) -> bool:
        """Whether the file is still there and the same; this blocks."""
        return facts_of(self.path) == self.facts


class Problem(msgspec.Struct, frozen=True, order=True):
    """A file that is there and not offered, and why."""

    path: str
    reason: str


class Inventory(msgspec.Struct, frozen=True):
    """What one look at the folders found."""

    files: dict[ModelKey, ModelFile]
    problems: tuple[Problem, ...]


class _Survey:
    """One walk through all roots."""

    def __init__(self, layout: Layout, journal: Journal, *, allow_pickle: bool, known: Collection[ModelFile]) -> None:
        self._layout = layout
        self._journal = journal
        self._allow_pickle = allow_pickle
        self._known = {file.path: file for file in known if file.known is not None}
        self.files: dict[ModelKey, ModelFile] = {}
        self.problems: list[Problem] = []
        self.seen = 0

    def look_at(self, path: Path, key: ModelKey) -> None:
        """Take one file in, or note why not."""
        self.seen += 1
        facts = facts_of(path)
        before = self._known.get(path)
        if before is not None and before.facts == facts and key not in self.files:
            self.files[key] = before
            return
        # Nothing but a regular file is ever opened: a pipe would hold up whoever does.
        reason = self._why_not(path, key) if facts else "it is no regular file, or leads to none"
        if facts is None or reason:
            self.note(path, reason)
            return
        place = self._layout.place(path)
        known = self._journal.known(place, facts)
        changeable = not path.is_symlink() and path.is_relative_to(self._layout.root)
        self.files[key] = ModelFile(
            key=key, path=path, place=place, facts=facts, is_ours_to_change=changeable, known=known
        )

    def note(self, path: Path, reason: str) -> None:
        """Remember why something is not offered."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(os.fsencode(path).decode(errors="replace"), reason))

    def _why_not(self, path: Path, key: ModelKey) -> str:
        if not key.name.isprintable() or len(key.name) > 256:
            return "its name cannot be told to anybody"
        if key in self.files:
            return f"{self.files[key].path} has the same name and is found first"
        if not self._layout.is_inside(path):
            return "it is a link that leads out of the folder; add its target to models.extra_roots"
        try:
            check_format(path, name=key.name, allow_pickle=self._allow_pickle)
        except IsPickle:
            return "it is a pickle, and models.allow_pickle is false"
        except ValueError as error:
            return str(error)
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
        return ""


def survey(layout: Layout, journal: Journal, *, allow_pickle: bool, known: Collection[ModelFile] = ()) -> Inventory:
    """Look at all folders; this blocks. The first of two files of one name counts, as it does for an engine.

    What is `known` and has not changed is taken over without being opened.
    """
    found = _Survey(layout, journal, allow_pickle=allow_pickle, known=known)
    for root in layout.roots:
        for folder in _folders(root, found):
            for path in _model_files(folder, found):
                if found.seen >= MAX_FILES:
                    found.note(root, f"it holds more than {MAX_FILES} model files; the others are not offered")
                    return Inventory(found.files, tuple(found.problems))
                name = path.relative_to(folder).as_posix()
                found.look_at(path, ModelKey(family_of(folder.name), name))
    return Inventory(found.files, tuple(found.problems))


def _folders(root: Path, found: _Survey) -> Iterator[Path]:
    try:
        entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        found.note(root, f"it cannot be read: {error.strerror}")
        return
    # Where files of a kind are written comes before the other folders that an engine looks through for it.
    for entry in sorted(entries, key=lambda path: (path.name != family_of(path.name), path.name)):
        if entry.is_symlink():
            found.note(entry, "it is a link to a folder; add its target to models.extra_roots")
        elif entry.is_dir():
            yield entry


def _model_files(folder: Path, found: _Survey) -> Iterator[Path]:
    for where, folders, names in os.walk(folder, onerror=lambda error: found.note(folder, str(error))):
        place = Path(where)
        is_deep = len(place.relative_to(folder).parts) >= _MAX_DEPTH
        if is_deep and folders:
            found.note(place, f"folders deeper than {_MAX_DEPTH} are not looked at")
        folders[:] = [] if is_deep else sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and suffix_of(name) in PLAIN | PICKLES:
                yield place / name
